module hello;

extern (C):

int printf(const char* format, ...);
int puts(const char* line);
int getpid();

private __gshared ulong counter;

void hello()
{
    printf("[%d] hej from D, call %lu\n", getpid(), ++counter);
}

pragma(crt_constructor) void begin()
{
    puts("constructor of the D version");
}

pragma(crt_destructor) void end()
{
    puts("destructor of the D version");
}
