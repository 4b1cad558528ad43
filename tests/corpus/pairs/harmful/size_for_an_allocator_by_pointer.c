#include "fill.h"
struct mem {
	void *(*get)(size_t);
	void *(*again)(void *, size_t);
};
struct pool {
	struct mem m;
	int n;
};
struct tag {
	struct tag *next;
	long a;
#ifdef NEW
	long b[3];
#endif
};
static struct tag *tags;
API struct pool *pool_new(void)
{
	struct pool *p = malloc(sizeof *p);
	p->m.get = malloc;
	p->m.again = realloc;
	p->n = 0;
	return p;
}
API struct tag *tag_new(struct pool *p, long a)
{
	struct tag *t = p->m.get(sizeof *t);
	if (!t)
		return 0;
	t->a = a;
	t->next = tags;
	tags = t;
#ifdef NEW
	t->b[2] = a;
#endif
	return t;
}
API long tag_sum(struct tag *t)
{
	long s = 0;
	for (; t; t = t->next) {
		s += t->a;
#ifdef NEW
		s += t->b[2];
#endif
	}
	return s;
}
API struct tag *tag_first(void)
{
	return tags;
}
