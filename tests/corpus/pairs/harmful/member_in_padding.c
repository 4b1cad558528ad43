#include "fill.h"

struct o {
	int a;
#ifdef NEW
	int b;
#endif
	void *p;
};
API struct o *o_new(int a)
{
	struct o *x = malloc(sizeof *x);
	x->a = a;
	x->p = 0;
#ifdef NEW
	x->b = 1;
#endif
	return x;
}
API void o_use(struct o *x)
{
	x->a++;
#ifdef NEW
	if (--x->b == 0)
		free(x);
#endif
}
API int o_get(struct o *x)
{
	return x->a;
}
