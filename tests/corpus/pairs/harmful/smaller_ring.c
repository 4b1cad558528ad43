#include "fill.h"

#ifdef NEW
#define N 8
#else
#define N 16
#endif
struct r {
	unsigned head, tail;
	long d[16];
};
API struct r *r_new(void)
{
	return calloc(1, sizeof(struct r));
}
API int r_put(struct r *r, long v)
{
	if (r->head - r->tail >= N)
		return -1;
	r->d[r->head++ & (N - 1)] = v;
	return 0;
}
API long r_get(struct r *r)
{
	if (r->head == r->tail)
		return -1;
	return r->d[r->tail++ & (N - 1)];
}
