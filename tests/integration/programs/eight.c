/* Eight threads that call into a library all the while, through slots and remembered addresses, and count what they do.
   For each line of standard input: the version, and how far each has come. */
#include "eight.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

enum { THREADS = 8 };

static atomic_long progress[THREADS], sums[THREADS];
static atomic_bool ends;
static void (*remembered)(long);
static void (*volatile taken)(long) = add;

static void bad(const char *what, long found, long expected)
{
	printf("bad: %s is %ld instead of %ld\n", what, found, expected);
	fflush(stdout);
	_exit(1);
}

static void expect_own_calls(long expected)
{
	if (calls_of_this_thread() != expected)
		bad("the number of a thread's calls", calls_of_this_thread(), expected);
}

static void *add_up(void *argument)
{
	long number = (long)argument, calls = 0;
	while (!ends) {
		long amount = 10 + progress[number] % 5;
		if (number == 0)
			add(amount), calls++;
		else if (number == 1)
			taken(amount), calls++;
		else
			remembered(amount), calls += 2;
		expect_own_calls(calls);
		sums[number] += amount;
		progress[number]++;
	}
	return NULL;
}

static void *produce(void *argument)
{
	long number = (long)argument, item = 0;
	while (!ends)
		put(++item), progress[number]++;
	put(0);
	return NULL;
}

static void *consume(void *argument)
{
	long number = (long)argument, last = 0, item;
	while ((item = take())) {
		if (item != ++last)
			bad("an item", item, last);
		progress[number]++;
	}
	return NULL;
}

static void *alternate(void *argument)
{
	long number = (long)argument;
	int side = number & 1;
	long expected = side + 1, found;
	for (; (found = take_turn(side, ends)); expected += 2) {
		if (found != expected)
			bad("a turn", found, expected);
		progress[number]++;
	}
	return NULL;
}

int main(void)
{
	char line[9];
	pthread_t threads[THREADS];
	void *(*work[THREADS])(void *) = {add_up, add_up, add_up, add_up, produce, consume, alternate, alternate};
	remembered = adder();
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work[i], (void *)i);
	while (fgets(line, sizeof line, stdin)) {
		if (adder() != remembered)
			puts("bad: a remembered address is another");
		printf("version %d progress", version());
		for (int i = 0; i < THREADS; i++)
			printf(" %ld", progress[i]);
		puts("");
		fflush(stdout);
	}
	ends = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	if (total() != sums[0] + sums[1] + sums[2] + sums[3])
		bad("the sum", total(), sums[0] + sums[1] + sums[2] + sums[3]);
	if (progress[4] != progress[5])
		bad("the number of items taken", progress[5], progress[4]);
	puts("all is counted");
	return 0;
}
