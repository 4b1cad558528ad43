#include "fill.h"
#ifdef NEW
#define N 8
#else
#define N 16
#endif

struct ring {
	int head, tail, n;
	long d[16];
};
API struct ring *ring_new(void)
{
	return calloc(1, sizeof(struct ring));
}
API int ring_put(struct ring *r, long v)
{
	r->d[r->head] = v;
	if (++r->head == N)
		r->head = 0;
	r->n++;
	return r->n;
}
API long ring_get(struct ring *r)
{
	long v = r->d[r->tail];
	if (++r->tail == N)
		r->tail = 0;
	r->n--;
	return v;
}
API int ring_n(struct ring *r)
{
	return r->n;
}
