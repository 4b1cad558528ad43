/* The variables that every version has, in the same places: an update keeps their contents. */
#ifndef CALLS_H
#define CALLS_H

#include "fibonacci.h"

uint64_t fibonacci_calls;
static uint64_t largest; /* the largest number that was asked for */

static void count_call(unsigned number)
{
	fibonacci_calls++;
	if (number > largest)
		largest = number;
}

#endif
