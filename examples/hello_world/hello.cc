#include "hello.h"

#include <cstdio>
#include <unistd.h>

namespace
{
unsigned long counter;

__attribute__((constructor)) void begin()
{
	std::puts("constructor of the C++ version");
}

__attribute__((destructor)) void end()
{
	std::puts("destructor of the C++ version");
}
} // namespace

void hello()
{
	std::printf("[%d] bonjour from C++, call %lu\n", getpid(), ++counter);
}
