#include "fill.h"
struct theme {
	int a, b;
};
static const struct theme plain = {3, 4};
struct win {
	const struct theme *t;
	int n;
};
API struct win *win_new(int n)
{
	struct win *w = malloc(sizeof *w);
	w->n = n;
#ifdef NEW
	struct theme *t = malloc(sizeof *t);
	*t = plain;
	w->t = t;
#else
	w->t = &plain;
#endif
	return w;
}
API int win_a(struct win *w)
{
	return w->t->a + w->n;
}
API void win_del(struct win *w)
{
#ifdef NEW
	free((void *)w->t);
#endif
	free(w);
}
