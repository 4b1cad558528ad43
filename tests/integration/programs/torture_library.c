/* One of four versions that keep the same data, each with code of its own. */
#include "torture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { ACCOUNTS = 16, PLACES = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_room = PTHREAD_COND_INITIALIZER, has_items = PTHREAD_COND_INITIALIZER;
static long accounts[ACCOUNTS], queue[PLACES], turns;
static unsigned long first, count;
static atomic_long sum;
static sem_t sides[2];

static void lock_all(void)
{
	pthread_mutex_lock(&lock);
}

static void unlock_all(void)
{
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void set_up(void)
{
	pthread_atfork(lock_all, unlock_all, unlock_all);
	sem_init(&sides[0], 0, 1);
	sem_init(&sides[1], 0, 0);
}

#if VERSION == 3
long in_front(long it)
{
	return balance((int)it) * noted();
}
#endif

int version(void)
{
	return VERSION;
}

void add(int account, long amount)
{
	pthread_mutex_lock(&lock);
#if VERSION == 1
	accounts[account] += amount;
#elif VERSION == 2
	for (long half = amount / 2, left = 2; left; left--)
		accounts[account] += left == 1 ? amount - half : half;
#elif VERSION == 3
	long before = accounts[account];
	accounts[account] = 0;
	for (long i = 0; i < 4; i++)
		accounts[account] += i == 3 ? before + amount : 0;
#else
	accounts[account] -= -amount;
	pthread_mutex_unlock(&lock);
	pthread_mutex_lock(&lock);
#endif
	pthread_mutex_unlock(&lock);
}

long balance(int account)
{
	pthread_mutex_lock(&lock);
	long found = accounts[account];
	pthread_mutex_unlock(&lock);
	return found;
}

#include "queue.h"

long take_turn(int side)
{
	if (sem_wait(&sides[side]) != 0)
		return -1;
#if VERSION < 3
	long now = ++turns;
#else
	long now = turns + 1;
	turns = now;
#endif
	sem_post(&sides[!side]);
	return now;
}

void end_turns(int side)
{
	sem_post(&sides[side]);
}

void note(long amount)
{
#if VERSION == 4
	atomic_fetch_sub(&sum, -amount);
#else
	atomic_fetch_add(&sum, amount);
#endif
}

long noted(void)
{
	return atomic_load(&sum);
}
