/* Greets in a loop, and can go on as two processes.
 *
 * Usage: program [PAUSE_IN_MS [ROUNDS [ROUND_TO_FORK_AT]]] */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hello.h"

int main(int count, char **arguments)
{
	long pause = count > 1 ? atol(arguments[1]) : 1000, rounds = count > 2 ? atol(arguments[2]) : -1;
	long fork_at = count > 3 ? atol(arguments[3]) : -1;
	for (long round = 0; round != rounds; round++) {
		if (round == fork_at)
			printf("[%d] forks\n", getpid()), fflush(stdout), fork();
		hello();
		fflush(stdout); // the library's constructor has printed before main: setvbuf(3) would come too late
		nanosleep(&(struct timespec){pause / 1000, pause % 1000 * 1000000}, NULL);
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
