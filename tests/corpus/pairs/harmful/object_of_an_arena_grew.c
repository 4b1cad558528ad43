#include "fill.h"
struct arena {
	char *at, *end;
	int n;
};
static __attribute__((noinline)) void *take(struct arena *a, unsigned long n)
{
	if (a->at + n > a->end)
		return 0;
	void *p = a->at;
	a->at += n;
	a->n++;
	return p;
}
struct sym {
	char *name;
	long value;
#ifdef NEW
	long line;
#endif
};
API struct arena *arena_new(void)
{
	struct arena *a = malloc(sizeof *a);
	a->at = malloc(4096);
	a->end = a->at + 4096;
	a->n = 0;
	return a;
}
API struct sym *sym_new(struct arena *a, char *name)
{
	struct sym *s = take(a, sizeof *s);
	if (!s)
		return 0;
	s->name = name;
	s->value = 0;
#ifdef NEW
	s->line = a->n;
#endif
	return s;
}
API long sym_where(struct sym *s)
{
#ifdef NEW
	return s->line;
#else
	return s->value;
#endif
}
