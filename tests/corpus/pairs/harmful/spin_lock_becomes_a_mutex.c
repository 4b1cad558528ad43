#include "fill.h"

/* Objects from before may be locked in a way that the mutex does not know. */
struct list {
	struct item {
		struct item *next;
		int value;
	} * first;
#ifdef NEW
	pthread_mutex_t lock;
#else
	union {
		int word;
		pthread_mutex_t room;
	} lock;
#endif
};
static void take(struct list *it)
{
#ifdef NEW
	pthread_mutex_lock(&it->lock);
#else
	while (__atomic_exchange_n(&it->lock.word, 2, __ATOMIC_ACQUIRE) != 1)
		;
#endif
}
static void give(struct list *it)
{
#ifdef NEW
	pthread_mutex_unlock(&it->lock);
#else
	__atomic_store_n(&it->lock.word, 1, __ATOMIC_RELEASE);
#endif
}
API struct list *list_new(void)
{
	struct list *it = malloc(sizeof *it);
	if (!it)
		return NULL;
	it->first = NULL;
#ifdef NEW
	pthread_mutex_init(&it->lock, NULL);
#else
	it->lock.word = 1;
#endif
	return it;
}
API int list_add(struct list *it, int value)
{
	struct item *item = malloc(sizeof *item);
	if (!item)
		return 0;
	item->value = value;
	take(it);
	item->next = it->first;
	it->first = item;
	give(it);
	return 1;
}
API int list_sum(struct list *it)
{
	int sum = 0;
	take(it);
	for (struct item *item = it->first; item; item = item->next)
		sum += item->value;
	give(it);
	return sum;
}
