#include "fill.h"

#include <semaphore.h>
struct pool {
	long free;
#ifdef NEW
	union {
		int count;
		sem_t room;
	} ready;
#else
	sem_t ready;
#endif
};
API struct pool *pool_new(unsigned n)
{
	struct pool *it = malloc(sizeof *it);
	if (!it)
		return NULL;
	it->free = n;
#ifdef NEW
	it->ready.count = (int)n;
#else
	sem_init(&it->ready, 0, n);
#endif
	return it;
}
API void pool_take(struct pool *it)
{
#ifdef NEW
	for (;;) {
		int n = __atomic_load_n(&it->ready.count, __ATOMIC_RELAXED);
		if (n > 0 &&
		    __atomic_compare_exchange_n(&it->ready.count, &n, n - 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			break;
	}
#else
	sem_wait(&it->ready);
#endif
	__atomic_fetch_sub(&it->free, 1, __ATOMIC_RELAXED);
}
API void pool_give(struct pool *it)
{
	__atomic_fetch_add(&it->free, 1, __ATOMIC_RELAXED);
#ifdef NEW
	__atomic_fetch_add(&it->ready.count, 1, __ATOMIC_RELEASE);
#else
	sem_post(&it->ready);
#endif
}
