#include "fill.h"

struct o;
#ifdef NEW
typedef int (*cb)(struct o *, void *);
static int on(struct o *o, void *arg);
#else
typedef int (*cb)(void *, struct o *);
static int on(void *arg, struct o *o);
#endif
struct o {
	cb f;
	void *arg;
	int n;
};
#ifdef NEW
static int on(struct o *o, void *arg)
{
	o->n += (int)strlen(arg);
	return o->n;
}
#else
static int on(void *arg, struct o *o)
{
	o->n += (int)strlen(arg);
	return o->n;
}
#endif
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
	return x->f(x, x->arg) + 1;
#else
	return x->f(x->arg, x) + 1;
#endif
}
