#include "fill.h"
#ifdef NEW
#define N 4
#else
#define N 3
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
API int o_count(struct o *x, const char *s)
{
	int k = 0;
	for (; *s; s++)
		if (*s == ',')
			k++;
	if (k == N)
		return -1;
	x->n += k;
	return k;
}
API int o_twice(struct o *x, const char *s)
{
	int k = (int)strlen(s);
	if (k == N)
		return 0;
	return x->n + k;
}
