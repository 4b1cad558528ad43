#include "fill.h"
struct state {
	unsigned char *window;
	unsigned start;
	unsigned size;
	long total;
#ifdef NEW
	unsigned insert;
#else
	int last_len;
#endif
};
static __attribute__((noinline)) void tree_init(struct state *s)
{
	s->total = 0;
#ifndef NEW
	s->last_len = 8;
#endif
}
static __attribute__((noinline)) void match_init(struct state *s)
{
	s->start = 0;
	s->size = 256;
#ifdef NEW
	s->insert = 0;
#endif
}
API struct state *s_new(void)
{
	struct state *s = malloc(sizeof *s);
	s->window = calloc(1, 256);
	tree_init(s);
	match_init(s);
	return s;
}
API long s_align(struct state *s, int n)
{
#ifndef NEW
	if (s->last_len + n > 9)
		s->total += 3;
	s->last_len = n;
#endif
	return ++s->total;
}
API int s_fill(struct state *s, int c)
{
	s->window[s->start++] = (unsigned char)c;
#ifdef NEW
	if (s->insert) {
		s->window[s->start - s->insert] = 1;
		s->insert--;
	}
#endif
	return (int)s->start;
}
