/* One of four versions that keep the same variables, each with code of its own, and other variables between. */
#include "eight.h"

#include <pthread.h>

enum { PLACES = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#if VERSION > 1
static long most, margin[60];
#endif
static long sum;
static __thread long calls;
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_room = PTHREAD_COND_INITIALIZER, has_items = PTHREAD_COND_INITIALIZER;
#if VERSION == 3
static char name[3000] = "third";
#endif
static long queue[PLACES], turns;
static unsigned long first, count;
static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;

#if VERSION > 1
long *margin_at(int place)
{
	return &margin[place];
}

long highest(void)
{
	return most;
}
#endif

#if VERSION == 3
const char *name_of_it(void)
{
	return name;
}
#endif

int version(void)
{
	return VERSION;
}

long calls_of_this_thread(void)
{
	return calls;
}

void add(long amount)
{
	calls++;
	pthread_mutex_lock(&lock);
#if VERSION == 1
	sum += amount;
#elif VERSION == 2
	for (long half = amount / 2, left = 2; left; left--)
		sum += left == 1 ? amount - half : half;
#elif VERSION == 3
	long before = sum;
	sum = 0;
	for (long i = 0; i < 4; i++)
		sum += i == 3 ? before + amount : 0;
#else
	sum -= -amount;
	pthread_mutex_unlock(&lock);
	pthread_mutex_lock(&lock);
#endif
#if VERSION > 1
	most = sum > most ? sum : most;
#endif
	pthread_mutex_unlock(&lock);
}

static void add_twice(long amount)
{
	add(amount - VERSION);
	add(VERSION);
}

void (*adder(void))(long)
{
	return add_twice;
}

long total(void)
{
	pthread_mutex_lock(&lock);
	long found = sum;
	pthread_mutex_unlock(&lock);
	return found;
}

#include "queue.h"

/* The number of the turn, once it is this side's; or 0 where it is over. */
long take_turn(int side, int is_over)
{
	pthread_mutex_lock(&turn_lock);
	if (is_over)
		turns = -1;
	while (turns >= 0 && turns % 2 != side)
		pthread_cond_wait(&turned, &turn_lock);
#if VERSION < 3
	long now = turns < 0 ? 0 : ++turns;
#else
	long now = turns + 1;
	if (now)
		turns = now;
#endif
	pthread_cond_broadcast(&turned);
	pthread_mutex_unlock(&turn_lock);
	return now;
}
