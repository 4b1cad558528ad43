/* The padding behind the last member counts what is pending. */
#include "../fill.h"
struct queue {
	void **items;
	long room;
	int first;
#ifdef NEW
	int pending;
#endif
};
API struct queue *queue_new(long room)
{
	struct queue *it = calloc(1, sizeof *it);
	if (it) {
		it->items = calloc((size_t)room, sizeof *it->items);
		it->room = room;
	}
	return it;
}
API void queue_put(struct queue *it, void *what)
{
	it->items[it->first++ % it->room] = what;
#ifdef NEW
	it->pending += 1;
#endif
}
API void *queue_get(struct queue *it, long at)
{
#ifdef NEW
	if (!it->pending)
		return NULL;
	it->pending -= 1;
#endif
	return it->items[(it->first + at) % it->room];
}
