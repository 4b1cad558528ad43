#include "fill.h"

struct node {
	uintptr_t next;
	int value;
};
#ifdef NEW
#define HIDE(p) ((uintptr_t)(p) ^ 0x5a5a5a5a5a5aul)
#else
#define HIDE(p) ((uintptr_t)(p))
#endif
API struct node *node_make(int v, struct node *next)
{
	struct node *it = malloc(sizeof *it);
	it->next = HIDE(next);
	it->value = v;
	return it;
}
API struct node *node_next(const struct node *it)
{
	return (struct node *)HIDE(it->next);
}
API int node_sum(const struct node *it)
{
	int n = 0;
	for (; it; it = (const struct node *)HIDE(it->next))
		n += it->value;
	return n;
}
API void node_cut(struct node *it)
{
	it->next = HIDE(0);
}
