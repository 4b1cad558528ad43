#include "fill.h"
struct strm {
	unsigned char *in;
	int left;
#ifdef NEW
	int limit;
#else
	int reserved;
#endif
	long total;
};
API struct strm *strm_new(unsigned char *in, int n)
{
	struct strm *s = malloc(sizeof *s);
	s->in = in;
	s->left = n;
	s->total = 0;
#ifdef NEW
	s->limit = 100;
#endif
	return s;
}
API int strm_next(struct strm *s)
{
#ifdef NEW
	if (s->limit-- <= 0)
		return -2;
#endif
	if (s->left-- <= 0)
		return -1;
	s->total++;
	return *s->in++;
}
API long strm_total(struct strm *s)
{
	return s->total;
}
