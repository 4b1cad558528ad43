/* Each line of standard input computes a digest with libcrypto, and prints the time that it took, in ms. */
#include <stdio.h>
#include <time.h>

unsigned char *SHA256(const unsigned char *content, size_t size, unsigned char *digest);

int main(void)
{
	char line[9];
	unsigned char digest[32];
	while (fgets(line, sizeof line, stdin)) {
		struct timespec before, after;
		clock_gettime(CLOCK_MONOTONIC, &before);
		if (!SHA256((unsigned char *)line, sizeof line, digest))
			return 1;
		clock_gettime(CLOCK_MONOTONIC, &after);
		printf("%.3f\n",
		       (double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) / 1e6);
		fflush(stdout);
	}
	return 0;
}
