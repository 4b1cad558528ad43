#include "fill.h"
struct node {
	struct node *next;
};
struct item {
	long key, value;
	struct node node;
};
struct list {
	void *head;
	int n;
};
API struct list *list_make(void)
{
	return calloc(1, sizeof(struct list));
}
#ifdef NEW
API void list_add(struct list *l, struct item *it)
{
	it->node.next = l->head;
	l->head = &it->node;
	l->n++;
}
API struct item *list_first(struct list *l)
{
	return l->head ? (struct item *)((char *)l->head - 16) : 0;
}
API long list_sum(struct list *l)
{
	long s = 0;
	for (struct node *n = l->head; n; n = n->next)
		s += ((struct item *)((char *)n - 16))->value;
	return s;
}
#else
API void list_add(struct list *l, struct item *it)
{
	it->node.next = l->head;
	l->head = it;
	l->n++;
}
API struct item *list_first(struct list *l)
{
	return l->head;
}
API long list_sum(struct list *l)
{
	long s = 0;
	for (struct item *n = l->head; n; n = (struct item *)n->node.next)
		s += n->value;
	return s;
}
#endif
API struct item *item_make(long k, long v)
{
	struct item *it = malloc(sizeof *it);
	it->key = k;
	it->value = v;
	it->node.next = 0;
	return it;
}
