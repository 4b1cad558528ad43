#include "fill.h"
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
#ifdef NEW
	if (x->st == 0)
		return -1;
#endif
	x->n += v;
	return x->n;
}
API char *o_b(struct o *x)
{
#ifdef NEW
	if (x->n == 0)
		return 0;
#endif
	return x->b;
}
