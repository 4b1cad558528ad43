#include "fill.h"

#ifdef NEW
struct entry {
	long key;
	int n;
	int m;
	long extra;
};
#else
struct entry {
	long key;
	int n;
	int m;
};
#endif
struct list {
	struct entry *items;
	int count, room;
};
API struct list *list_make(void)
{
	return calloc(1, sizeof(struct list));
}
API struct entry *list_add(struct list *it, long key)
{
	if (it->count == it->room) {
		it->room = it->room * 2 + 4;
		it->items = realloc(it->items, it->room * sizeof *it->items);
	}
	struct entry *e = &it->items[it->count++];
	e->key = key;
	e->n = e->m = 0;
#ifdef NEW
	e->extra = key * 2;
#endif
	return e;
}
API struct entry *list_find(struct list *it, long key)
{
	for (int i = 0; i < it->count; i++)
		if (it->items[i].key == key)
			return &it->items[i];
	return 0;
}
