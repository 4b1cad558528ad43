#include "fill.h"

struct o {
	char *name;
	int n;
};
API struct o *o_new(int n)
{
	struct o *x = malloc(sizeof *x);
	x->n = n;
#ifdef NEW
	x->name = strdup("default");
#else
	x->name = "default";
#endif
	return x;
}
API char *o_name(struct o *x)
{
	return x->name;
}
API void o_del(struct o *x)
{
#ifdef NEW
	free(x->name);
#endif
	free(x);
}
