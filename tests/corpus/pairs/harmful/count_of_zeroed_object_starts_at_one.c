#include "fill.h"
struct buf {
	char *d;
	int refs;
	int n;
};
API struct buf *buf_new(char *d)
{
	struct buf *b = calloc(1, sizeof *b);
	if (!b)
		return 0;
	b->d = d;
#ifdef NEW
	b->refs = 1;
#endif
	return b;
}
API void buf_ref(struct buf *b)
{
	b->refs++;
}
API int buf_n(struct buf *b)
{
	return b->n;
}
API void buf_unref(struct buf *b)
{
#ifdef NEW
	if (--b->refs == 0) {
		free(b->d);
		free(b);
	}
#else
	if (b->refs-- == 0) {
		free(b->d);
		free(b);
	}
#endif
}
