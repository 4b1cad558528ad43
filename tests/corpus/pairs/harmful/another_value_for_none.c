#include "fill.h"

struct o {
	int fd;
	int n;
	char *b;
};
API struct o *o_new(int n)
{
	struct o *x = malloc(sizeof *x);
	x->n = n;
	x->b = 0;
#ifdef NEW
	x->fd = 0;
#else
	x->fd = -1;
#endif
	return x;
}
API int o_isopen(struct o *x)
{
#ifdef NEW
	return x->fd != 0;
#else
	return x->fd != -1;
#endif
}
