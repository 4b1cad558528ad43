/* Each line of standard input makes 100 children, one after another, of which some live at a time, and prints two
 * medians in ms: how long fork(2) takes in the parent, and how long it is until the child runs. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHILDREN = 100, APART = 20 * 1000, LIFE = 300 * 1000 /* us */ };

int version(void);

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int compare(const void *one, const void *other)
{
	const double *a = one, *b = other;
	return (*a > *b) - (*a < *b);
}

static double median(double *values)
{
	qsort(values, CHILDREN, sizeof *values, compare);
	return values[CHILDREN / 2];
}

int main(void)
{
	char line[9];
	double parent[CHILDREN];
	double *child = mmap(NULL, sizeof parent, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (child == MAP_FAILED)
		return 1;
	while (fgets(line, sizeof line, stdin)) {
		for (int i = 0; i < CHILDREN; i++) {
			double start = now();
			if (fork() == 0) {
				child[i] = now() - start;
				usleep(LIFE);
				_exit(version() == 0);
			}
			parent[i] = now() - start;
			usleep(APART);
		}
		while (wait(NULL) > 0)
			;
		printf("%.3f %.3f\n", median(parent), median(child));
		fflush(stdout);
	}
	return 0;
}
