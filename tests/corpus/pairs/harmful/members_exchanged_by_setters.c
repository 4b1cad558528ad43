#include "fill.h"
struct rect {
#ifdef NEW
	int h, w;
#else
	int w, h;
#endif
	char *name;
};
API struct rect *rect_new(char *n)
{
	struct rect *r = calloc(1, sizeof *r);
	r->name = n;
	return r;
}
#ifdef NEW
API void rect_set(struct rect *r, int w, int h)
{
	if (w < 0)
		w = 0;
	if (h < 0)
		h = 0;
	r->w = w;
	r->h = h;
}
API int rect_pack(struct rect *r)
{
	if (!r->name)
		return 0;
	return r->h + r->w * 4099;
}
#else
API void rect_set(struct rect *r, int w, int h)
{
	r->w = w;
	r->h = h;
}
API int rect_pack(struct rect *r)
{
	return r->w * 4099 + r->h;
}
#endif
API char *rect_name(struct rect *r)
{
	return r->name;
}
