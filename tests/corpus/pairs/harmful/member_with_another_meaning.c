#include "fill.h"

struct state {
	unsigned char *window;
	unsigned start;
#ifdef NEW
	unsigned insert;
#else
	unsigned last_len;
#endif
	unsigned size;
};
API struct state *s_new(void)
{
	struct state *s = malloc(sizeof *s);
	s->window = calloc(1, 256);
	s->start = 0;
	s->size = 256;
#ifdef NEW
	s->insert = 0;
#else
	s->last_len = 8;
#endif
	return s;
}
API int s_put(struct state *s, int c)
{
#ifdef NEW
	unsigned at = s->start - s->insert;
	s->window[at] = (unsigned char)c;
	s->start++;
	if (s->insert)
		s->insert--;
	return s->window[at];
#else
	s->window[s->start++] = (unsigned char)c;
	s->last_len = (s->last_len * 3 + c) % 17;
	return (int)s->last_len;
#endif
}
