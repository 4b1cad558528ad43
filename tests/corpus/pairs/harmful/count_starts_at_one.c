#include "fill.h"

struct o {
	int refs;
	int a;
	char *b;
};
API struct o *o_new(int a)
{
	struct o *x = malloc(sizeof *x);
	x->a = a;
	x->b = 0;
#ifdef NEW
	x->refs = 1;
#else
	x->refs = 0;
#endif
	return x;
}
API void o_ref(struct o *x)
{
	x->refs++;
}
API void o_unref(struct o *x)
{
#ifdef NEW
	if (--x->refs == 0)
		free(x);
#else
	if (x->refs-- == 0)
		free(x);
#endif
}
