/* A C library that a Go program uses: it counts, calls back into Go, and keeps a stack of its own in each thread. */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "mixer.h"

static _Atomic uint64_t calls;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static uint64_t locked_calls;
static _Thread_local uint64_t calls_here;

int mixer_version(void)
{
	return VERSION;
}

/* The sum of what `each` makes of the numbers below `count`; what is seen besides is only counted. */
int64_t mixer_sum(int count, mixer_callback each, uintptr_t argument)
{
	int64_t sum = 0;

	for (int number = 0; number < count; number++)
		sum += each(argument, VERSION % 2 ? number : count - 1 - number);
	calls_here++;
	atomic_fetch_add(&calls, 1);
	pthread_mutex_lock(&turn);
	locked_calls++;
	pthread_mutex_unlock(&turn);
	return sum;
}

void mixer_count(struct mixer_counts *counts)
{
	pthread_mutex_lock(&turn);
	*counts = (struct mixer_counts){VERSION, atomic_load(&calls), locked_calls};
	pthread_mutex_unlock(&turn);
}

uint64_t mixer_count_here(void)
{
	return calls_here;
}
