#include "fill.h"

struct o {
#ifdef NEW
	int hi, lo;
#else
	int lo, hi;
#endif
	void *p;
};
API struct o *o_new(void)
{
	return calloc(1, sizeof(struct o));
}
#ifdef NEW
API void o_put(struct o *x, int v)
{
	if (!x || v < 0)
		return;
	int l = v % 1000;
	x->lo = l;
	x->hi = (v - l) / 1000;
}
API int o_get(struct o *x)
{
	int r = 0;
	if (x) {
		r = x->hi;
		r *= 1000;
		r += x->lo;
	}
	return r;
}
#else
API void o_put(struct o *x, int v)
{
	x->hi = v / 1000;
	x->lo = v - 1000 * x->hi;
}
API int o_get(struct o *x)
{
	return x->lo + x->hi * 1000;
}
#endif
