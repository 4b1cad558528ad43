#include "fill.h"
struct hook;
#ifdef NEW
typedef long (*cb)(long, void *);
static long on(long n, void *d)
{
	return n + (long)strlen(d);
}
#else
typedef long (*cb)(void *, long);
static long on(void *d, long n)
{
	return n + (long)strlen(d);
}
#endif
struct hook {
	void *data;
	cb f;
	long n;
};
API struct hook *hook_new(void *d)
{
	struct hook *h = malloc(sizeof *h);
	h->data = d;
	h->f = on;
	h->n = 2;
	return h;
}
API long hook_run(struct hook *h, long n)
{
#ifdef NEW
	return h->f(n, h->data) * 3;
#else
	return h->f(h->data, n) * 3;
#endif
}
API long hook_n(struct hook *h)
{
	return h->n;
}
