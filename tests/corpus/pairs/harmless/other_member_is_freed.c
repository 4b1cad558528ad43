#include "fill.h"
struct o {
	char *name;
	char *data;
	int n;
};
API struct o *o_new(const char *d)
{
	struct o *x = malloc(sizeof *x);
	x->name = "default";
	x->data = strdup(d);
	x->n = 1;
	return x;
}
API char *o_name(struct o *x)
{
	return x->name;
}
API void o_del(struct o *x)
{
#ifdef NEW
	free(x->data);
#endif
	free(x);
}
