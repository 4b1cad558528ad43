#include "fill.h"

/* In the old version it comes back to its head. */
struct link {
	struct link *next;
	int value;
};
struct list {
	struct link head;
	int count;
};
#ifdef NEW
#define END(list) 0
#else
#define END(list) (&(list)->head)
#endif
API void list_init(struct list *l)
{
	l->head.next = END(l);
	l->count = 0;
}
API void list_add(struct list *l, struct link *it)
{
	it->next = l->head.next;
	l->head.next = it;
	l->count++;
}
API int list_sum(struct list *l)
{
	int sum = 0;
	for (struct link *it = l->head.next; it != END(l); it = it->next)
		sum += it->value;
	return sum;
}
API struct link *list_find(struct list *l, int value)
{
	for (struct link *it = l->head.next; it != END(l); it = it->next)
		if (it->value == value)
			return it;
	return 0;
}
