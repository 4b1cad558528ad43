/* Counts calls for a time, again and again: each line is calls per second. Ends with standard input. */
#include <stdio.h>
#include <time.h>

int add(int number);

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(void)
{
	char line[9];
	while (fgets(line, sizeof line, stdin)) {
		double start = now(), passed;
		long calls = 0;
		do {
			for (int i = 0; i < 100000; i++)
				add(i);
			calls += 100000;
			passed = now() - start;
		} while (passed < 0.3);
		printf("%.0f\n", (double)calls / passed);
		fflush(stdout);
	}
	return 0;
}
