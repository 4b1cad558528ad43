#include "hello.h"

#include <stdio.h>
#include <unistd.h>

static unsigned long counter;

void hello(void)
{
	printf("[%d] hello from C, call %lu\n", getpid(), ++counter);
}

__attribute__((constructor)) static void begin(void)
{
	puts("constructor of the C version");
}

__attribute__((destructor)) static void end(void)
{
	puts("destructor of the C version");
}
