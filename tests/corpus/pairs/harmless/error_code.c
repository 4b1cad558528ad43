#include "fill.h"
#ifdef NEW
#define E -7
#else
#define E -5
#endif

struct o {
	int st;
	int n;
	char *b;
};
API struct o *o_new(void)
{
	struct o *x = malloc(sizeof *x);
	x->st = 1;
	x->n = 0;
	x->b = 0;
	return x;
}
API int o_put(struct o *x, int v)
{
	if (v < 0)
		return E;
	x->n = v;
	return 0;
}
API int o_get(struct o *x)
{
	if (x->st != 1)
		return E;
	return x->n;
}
