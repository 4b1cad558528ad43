/* Calls without a pause, and prints when (CLOCK_REALTIME, seconds) a call first answers with another version. */
#include <stdio.h>
#include <time.h>

int version(void);

int main(void)
{
	for (int last = -1;;) {
		int found = version();
		if (found != last) {
			struct timespec time;
			clock_gettime(CLOCK_REALTIME, &time);
			printf("%d %ld.%09ld\n", found, (long)time.tv_sec, time.tv_nsec);
			fflush(stdout);
		}
		last = found;
	}
}
