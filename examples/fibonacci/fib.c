/* Prints a Fibonacci number again and again: number, result, time taken, calls so far, and which version computed it.
 *
 * Usage: fib [NUMBER [PAUSE_IN_MS [ROUNDS]]] */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fibonacci.h"

static double microseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(int count, char **arguments)
{
	unsigned number = count > 1 ? (unsigned)atoi(arguments[1]) : 30;
	long pause = count > 2 ? atol(arguments[2]) : 500, rounds = count > 3 ? atol(arguments[3]) : -1;
	if (number > 80) {
		fprintf(stderr, "fib: %u is larger than 80, the largest number that all versions can do\n", number);
		return 2;
	}
	while (rounds-- != 0) {
		double start = microseconds();
		uint64_t result = fibonacci(number);
		printf("fibonacci(%u) = %" PRIu64 ", %.1f us, call %" PRIu64 ", version %s\n", number, result,
		       microseconds() - start, fibonacci_calls, fibonacci_version());
		fflush(stdout);
		nanosleep(&(struct timespec){pause / 1000, pause % 1000 * 1000000}, NULL);
	}
	return 0;
}
