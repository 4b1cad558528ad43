#include "fill.h"
struct o {
	int st;
	int n;
	char *b;
	long last;
};
API struct o *o_new(void)
{
	struct o *x = malloc(sizeof *x);
	x->st = 1;
	x->n = 0;
#ifdef NEW
	x->b = 0;
#endif
	x->last = 0;
	return x;
}
API void o_set(struct o *x, char *b)
{
	x->b = b;
	x->last++;
}
API char *o_b(struct o *x)
{
#ifdef NEW
	if (!x->last)
		return 0;
#endif
	return x->b;
}
