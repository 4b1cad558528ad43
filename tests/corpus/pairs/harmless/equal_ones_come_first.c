#include "fill.h"

/* Where the order is the same but for equal ones, everything is found. */

struct entry {
	struct entry *next;
	long key;
	void *data;
};
struct list {
	struct entry *first;
	int count;
};
#ifdef NEW
#define BEFORE(a, b) ((a) < (b))
#else
#define BEFORE(a, b) ((a) < (b))
#endif
API void list_insert(struct list *l, struct entry *e)
{
	struct entry **at = &l->first;
#ifdef NEW
	while (*at && (*at)->key <= e->key)
#else
	while (*at && (*at)->key < e->key)
#endif
		at = &(*at)->next;
	e->next = *at;
	*at = e;
	l->count++;
}
API int list_remove(struct list *l, long key)
{
	struct entry **at = &l->first;
	while (*at && BEFORE((*at)->key, key))
		at = &(*at)->next;
	if (!*at || (*at)->key != key)
		return 0;
	*at = (*at)->next;
	l->count--;
	return 1;
}
API void *list_find(struct list *l, long key)
{
	for (struct entry *e = l->first; e && !BEFORE(key, e->key); e = e->next)
		if (e->key == key)
			return e->data;
	return 0;
}
