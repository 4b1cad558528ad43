/* Steps of ten from a table of constants. */
#include "calls.h"

static const uint64_t table[] = {
	0, 55, 6765, 832040, 102334155, 12586269025, 1548008755920, 190392490709135, 23416728348467685};
static const uint64_t after[] = {
	1, 89, 10946, 1346269, 165580141, 20365011074, 2504730781961, 308061521170129, 37889062373143906};

uint64_t fibonacci(unsigned number)
{
	uint64_t now = table[number / 10], next = after[number / 10];
	count_call(number);
	for (unsigned left = number % 10; left > 0; left--) {
		uint64_t sum = now + next;
		now = next;
		next = sum;
	}
	return now;
}

const char *fibonacci_version(void)
{
	return "5: lookup table";
}
