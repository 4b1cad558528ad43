#include "fill.h"
static int ready;
static long total;
static char pad[80];
#ifdef NEW
static long scale;
#endif
API void mix_init(long n)
{
	ready = 1;
	total = n;
#ifdef NEW
	scale = n * 3 + 1;
#endif
}
API long mix_add(long n)
{
#ifdef NEW
	total += n / scale;
#else
	total += n / 5;
#endif
	return total;
}
API char *mix_pad(int i)
{
	return pad + i;
}
