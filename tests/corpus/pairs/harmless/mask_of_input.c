#include "fill.h"
#ifdef NEW
#define M 0xFC
#else
#define M 0xF8
#endif

API const char *big(const char *from, const char *lim, unsigned short **to)
{
	if (lim > from && ((((unsigned char)lim[-2]) & M) == 0xD8))
		lim -= 2;
	while (from < lim) {
		*(*to)++ = (unsigned short)(from[0] << 8 | from[1]);
		from += 2;
	}
	return lim;
}
API const char *little(const char *from, const char *lim, unsigned short **to)
{
	if (lim > from && ((((unsigned char)lim[-1]) & M) == 0xD8))
		lim -= 2;
	while (from < lim) {
		*(*to)++ = (unsigned short)(from[1] << 8 | from[0]);
		from += 2;
	}
	return lim;
}
API int count(const unsigned char *p)
{
	int n = 0;
	while (*p)
		if ((*p++ & M) == 0xD8)
			n++;
	return n;
}
