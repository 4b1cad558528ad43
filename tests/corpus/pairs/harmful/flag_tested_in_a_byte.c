#include "fill.h"
#ifdef NEW
#define F 0x40
#else
#define F 0x20
#endif

struct node {
	void *data;
	unsigned char flags;
	unsigned char depth;
};
API struct node *node_new(void *d)
{
	struct node *n = malloc(sizeof *n);
	n->data = d;
	n->flags = 0;
	n->depth = 1;
	return n;
}
API void node_mark(struct node *n)
{
	n->flags |= F;
}
API void node_clear(struct node *n)
{
	if (n->flags & F)
		n->flags &= (unsigned char)~F;
}
API int node_is(struct node *n)
{
	return n->flags & F ? n->depth : 0;
}
