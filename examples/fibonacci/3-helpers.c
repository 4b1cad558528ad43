/* Exports helper functions that no other version has. */
#include "calls.h"

uint64_t fibonacci_of_even(unsigned half);
uint64_t fibonacci_of_odd(unsigned half);
uint64_t fibonacci_doubling(unsigned number);

/* F(2k) = F(k) * (2 F(k+1) - F(k)) */
uint64_t fibonacci_of_even(unsigned half)
{
	uint64_t low = fibonacci_doubling(half), high = fibonacci_doubling(half + 1);
	return low * (2 * high - low);
}

/* F(2k+1) = F(k+1)^2 + F(k)^2 */
uint64_t fibonacci_of_odd(unsigned half)
{
	uint64_t low = fibonacci_doubling(half), high = fibonacci_doubling(half + 1);
	return high * high + low * low;
}

uint64_t fibonacci_doubling(unsigned number)
{
	if (number < 3)
		return number > 0;
	return number % 2 ? fibonacci_of_odd(number / 2) : fibonacci_of_even(number / 2);
}

uint64_t fibonacci(unsigned number)
{
	count_call(number);
	return fibonacci_doubling(number);
}

const char *fibonacci_version(void)
{
	return "3: doubling, with new functions";
}
