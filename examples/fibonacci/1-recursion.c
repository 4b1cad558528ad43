#include "calls.h"

static uint64_t recursion(unsigned number)
{
	return number < 2 ? number : recursion(number - 1) + recursion(number - 2);
}

uint64_t fibonacci(unsigned number)
{
	count_call(number);
	return recursion(number);
}

const char *fibonacci_version(void)
{
	return "1: recursion";
}
