#include "fill.h"
#ifdef NEW
#define F 8
#else
#define F 4
#endif

struct o {
	unsigned flags;
	int n;
	void *p;
};
API struct o *o_new(unsigned f)
{
	struct o *x = malloc(sizeof *x);
	x->flags = f;
	x->n = 1;
	x->p = x;
	return x;
}
API void o_del(struct o *x)
{
	if (x->flags & F)
		free(x->p);
	x->n = 0;
}
API int o_is(struct o *x)
{
	return x->flags & F ? 3 : x->n;
}
