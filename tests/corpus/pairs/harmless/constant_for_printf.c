#include "fill.h"
#ifdef NEW
#define N 14
#else
#define N 12
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
API int o_say(struct o *x)
{
	return printf("%d of %d\n", x->n, N);
}
API int o_tell(struct o *x)
{
	printf("%d: %d\n", N, x->st);
	return x->n;
}
