/* Calls its library for each line that it reads; inside of the first call, the library calls it back, and it reads on,
 * so that a frame of the version from then stays on the stack. */
#include <stdio.h>

int run(int (*back)(int), int number);

static int serve(int number)
{
	char line[80];
	while (fgets(line, sizeof line, stdin)) {
		printf("run says %d\n", run(NULL, number++));
		fflush(stdout);
	}
	return number;
}

int main(void)
{
	puts("begins");
	fflush(stdout);
	return run(serve, 0) < 0;
}
