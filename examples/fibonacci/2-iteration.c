#include "calls.h"

uint64_t fibonacci(unsigned number)
{
	uint64_t before = 1, now = 0;
	count_call(number);
	while (number-- > 0) {
		uint64_t next = before + now;
		before = now;
		now = next;
	}
	return now;
}

const char *fibonacci_version(void)
{
	return "2: iteration";
}
