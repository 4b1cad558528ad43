#include "fill.h"
struct o {
	char *name;
	unsigned flags;
	int n;
};
API struct o *o_new(char *name)
{
	struct o *x = malloc(sizeof *x);
	x->name = name;
	x->n = 4;
#ifdef NEW
	x->flags = 9;
#else
	x->flags = 1;
#endif
	return x;
}
API int o_n(struct o *x)
{
#ifdef NEW
	if (!(x->flags & 8))
		return -1;
#endif
	return x->flags & 1 ? x->n : 0;
}
API char *o_name(struct o *x)
{
	return x->name;
}
