#include "fill.h"
struct entry {
	long key;
	int n, m;
};
struct list {
	struct entry *items;
	int count, room;
};
#ifdef NEW
#define GROW(it) ((it)->room * 3 + 8)
#else
#define GROW(it) ((it)->room * 2 + 4)
#endif
API struct list *list_new(void)
{
	return calloc(1, sizeof(struct list));
}
API struct entry *list_add(struct list *it, long key)
{
	if (it->count == it->room) {
		it->room = GROW(it);
		it->items = realloc(it->items, it->room * sizeof *it->items);
	}
	struct entry *entry = &it->items[it->count++];
	entry->key = key;
	entry->n = entry->m = 0;
	return entry;
}
API void list_reserve(struct list *it, int more)
{
	if (it->count + more > it->room) {
		it->room = GROW(it) + more;
		it->items = realloc(it->items, it->room * sizeof *it->items);
	}
}
API struct entry *list_find(struct list *it, long key)
{
	for (int i = 0; i < it->count; i++)
		if (it->items[i].key == key)
			return &it->items[i];
	return 0;
}
