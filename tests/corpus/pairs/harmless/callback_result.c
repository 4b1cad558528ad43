#include "fill.h"
struct o;
typedef int (*cb)(struct o *, void *);
struct o {
	cb f;
	void *arg;
	int n;
};
static int on(struct o *o, void *arg)
{
	o->n += (int)strlen(arg);
	return o->n;
}
API struct o *o_new(char *s)
{
	struct o *x = malloc(sizeof *x);
	x->f = on;
	x->arg = s;
	x->n = 0;
	return x;
}
API int o_fire(struct o *x)
{
#ifdef NEW
	int r = x->f(x, x->arg);
	return r < 0 ? 0 : r + 1;
#else
	return x->f(x, x->arg) + 1;
#endif
}
