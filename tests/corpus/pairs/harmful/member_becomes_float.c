#include "fill.h"
#ifdef NEW
typedef float num;
#else
typedef int num;
#endif
struct acc {
	char *name;
	num sum;
	int n;
};
API struct acc *acc_new(char *n)
{
	struct acc *a = malloc(sizeof *a);
	a->name = n;
	a->sum = 0;
	a->n = 0;
	return a;
}
API void acc_add(struct acc *a, int v)
{
	a->sum += v;
	a->n++;
}
API int acc_mean(struct acc *a)
{
	return (int)(a->sum / 3);
}
API void acc_twice(struct acc *a)
{
	a->sum = a->sum * 5;
}
