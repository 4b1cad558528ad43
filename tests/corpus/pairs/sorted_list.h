/* A list in the order that BEFORE says; GOES_BEHIND says whether a new entry goes behind one that is there. */
#include "fill.h"

struct entry {
	struct entry *next;
	long key;
	void *data;
};
struct list {
	struct entry *first;
	int count;
};
API void list_insert(struct list *l, struct entry *e)
{
	struct entry **at = &l->first;
	while (*at && GOES_BEHIND(e->key, (*at)->key))
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
