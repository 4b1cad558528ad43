#include "fill.h"

/* A thread that waits for the mutex when the update comes is never woken. */
#ifdef NEW
typedef union {
	int word;
	pthread_mutex_t room;
} lock;
static void take(lock *it)
{
	while (__atomic_exchange_n(&it->word, 1, __ATOMIC_ACQUIRE))
		;
}
static void give(lock *it)
{
	__atomic_store_n(&it->word, 0, __ATOMIC_RELEASE);
}
static void make(lock *it)
{
	it->word = 0;
}
#else
typedef pthread_mutex_t lock;
#define take pthread_mutex_lock
#define give pthread_mutex_unlock
#define make(it) pthread_mutex_init(it, NULL)
#endif
struct account {
	lock lock;
	long sum;
};
API struct account *account_new(void)
{
	struct account *it = malloc(sizeof *it);
	if (!it)
		return NULL;
	make(&it->lock);
	it->sum = 0;
	return it;
}
API void account_add(struct account *it, long n)
{
	take(&it->lock);
	it->sum += n;
	give(&it->lock);
}
API long account_sum(struct account *it)
{
	take(&it->lock);
	long sum = it->sum;
	give(&it->lock);
	return sum;
}
