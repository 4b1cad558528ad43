/* 8 threads call without a pause; each line of standard input prints the longest time between two calls, in ms, that
 * any of them saw since the line before. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

int version(void);
static _Atomic double longest;

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void *run(void *unused)
{
	for (double before = now();;) {
		version();
		double after = now(), stall = after - before, seen = longest;
		while (stall > seen && !atomic_compare_exchange_weak(&longest, &seen, stall))
			;
		before = after;
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
