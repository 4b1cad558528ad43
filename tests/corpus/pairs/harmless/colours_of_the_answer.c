#include "fill.h"

/* Two functions compute with other shifts what they return, and nothing is kept. */
struct palette {
	int count;
	unsigned colours[16];
};
#ifdef NEW
#define PACK(r, g, b) ((r) << 16 | (g) << 8 | (b))
#else
#define PACK(r, g, b) ((b) << 16 | (g) << 8 | (r))
#endif
API unsigned colour(unsigned char r, unsigned char g, unsigned char b)
{
	return PACK(r, g, b);
}
API unsigned grey(unsigned char level)
{
	return PACK(level, level / 2, level / 3);
}
API int palette_add(struct palette *p, unsigned c)
{
	if (p->count == 16)
		return -1;
	p->colours[p->count++] = c;
	return 0;
}
