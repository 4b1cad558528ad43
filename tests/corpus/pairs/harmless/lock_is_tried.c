#include "fill.h"

struct account {
	long sum, tries;
	pthread_mutex_t lock;
};
API struct account *account_new(void)
{
	struct account *it = calloc(1, sizeof *it);
	if (it)
		pthread_mutex_init(&it->lock, NULL);
	return it;
}
static void take(struct account *it)
{
#ifdef NEW
	while (pthread_mutex_trylock(&it->lock))
		__atomic_fetch_add(&it->tries, 1, __ATOMIC_RELAXED);
#else
	pthread_mutex_lock(&it->lock);
#endif
}
API void account_add(struct account *it, long n)
{
	take(it);
	it->sum += n;
	pthread_mutex_unlock(&it->lock);
}
API long account_sum(struct account *it)
{
	take(it);
	long sum = it->sum;
	pthread_mutex_unlock(&it->lock);
	return sum;
}
