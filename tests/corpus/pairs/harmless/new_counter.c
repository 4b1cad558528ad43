#include "fill.h"
static int ready;
static long count;
static char scratch[64];
#ifdef NEW
static long calls;
#endif
API void lib_init(void)
{
	ready = 1;
	count = 0;
	scratch[0] = 1;
}
API long lib_use(const unsigned char *s)
{
#ifdef NEW
	calls++;
#endif
	while (*s)
		count += *s++;
	return count;
}
API long lib_count(void)
{
#ifdef NEW
	if (calls > 1000)
		return -1;
#endif
	return count;
}
API char *lib_scratch(int i)
{
	return scratch + i;
}
