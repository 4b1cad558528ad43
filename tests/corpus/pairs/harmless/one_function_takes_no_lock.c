#include "fill.h"

struct counter {
	pthread_mutex_t lock;
	long n;
};
API struct counter *counter_new(void)
{
	struct counter *it = calloc(1, sizeof *it);
	if (it)
		pthread_mutex_init(&it->lock, NULL);
	return it;
}
API void counter_add(struct counter *it, long n)
{
	pthread_mutex_lock(&it->lock);
	it->n += n;
	pthread_mutex_unlock(&it->lock);
}
API long counter_take(struct counter *it)
{
	pthread_mutex_lock(&it->lock);
	long n = it->n;
	it->n = 0;
	pthread_mutex_unlock(&it->lock);
	return n;
}
API long counter_get(struct counter *it)
{
#ifdef NEW
	return __atomic_load_n(&it->n, __ATOMIC_RELAXED);
#else
	pthread_mutex_lock(&it->lock);
	long n = it->n;
	pthread_mutex_unlock(&it->lock);
	return n;
#endif
}
