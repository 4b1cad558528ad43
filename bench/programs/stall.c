/* 8 threads call without a pause; each line of standard input prints the longest time, in ms, that any of them was
 * blocked between two calls since the line before: the time that passed, less the time that it ran and the time that it
 * only waited for a processor (proc(5), schedstat). */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int version(void);
static _Atomic double longest;

static double now(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static double waited_for_processor(int schedstat)
{
	char text[100] = "", *rest;
	if (pread(schedstat, text, sizeof text - 1, 0) <= 0)
		abort();
	strtoull(text, &rest, 10);
	return (double)strtoull(rest, NULL, 10) / 1e6;
}

static void *run(void *unused)
{
	int schedstat = open("/proc/thread-self/schedstat", O_RDONLY);
	double passed = now(CLOCK_MONOTONIC), ran = now(CLOCK_THREAD_CPUTIME_ID),
	       waited = waited_for_processor(schedstat);
	for (double before = passed, after;; before = after) {
		version();
		after = now(CLOCK_MONOTONIC);
		if (after - before < 0.1)
			continue;
		double still_ran = now(CLOCK_THREAD_CPUTIME_ID), still_waited = waited_for_processor(schedstat);
		double blocked = after - passed - (still_ran - ran) - (still_waited - waited), seen = longest;
		while (blocked > seen && !atomic_compare_exchange_weak(&longest, &seen, blocked))
			;
		after = passed = now(CLOCK_MONOTONIC), ran = still_ran, waited = still_waited;
	}
	return unused;
}

int main(void)
{
	pthread_t thread;
	char line[9];
	for (int i = 0; i < 8; i++)
		pthread_create(&thread, NULL, run, NULL);
	while (fgets(line, sizeof line, stdin)) {
		printf("%.3f\n", atomic_exchange(&longest, 0));
		fflush(stdout);
	}
	return 0;
}
