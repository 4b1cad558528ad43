#include "fill.h"
#ifdef NEW
#define N 60
#else
#define N 30
#endif

struct o {
	int wait;
	int n;
	char *b;
};
API struct o *o_new(void)
{
	struct o *x = malloc(sizeof *x);
	x->wait = N;
	x->n = 0;
	x->b = 0;
	return x;
}
API void o_wait(struct o *x, int w)
{
	x->wait = w;
}
API int o_left(struct o *x, int now)
{
	return x->wait - now;
}
API int o_add(struct o *x)
{
#ifdef NEW
	if (x->n > 100)
		return -1;
#endif
	return ++x->n;
}
