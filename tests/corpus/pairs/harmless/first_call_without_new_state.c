#include "fill.h"
static int ready;
static long count;
static char scratch[64];
static __attribute__((noinline)) void begin(void)
{
	if (ready)
		return;
	ready = 1;
	count = 0;
	scratch[0] = 1;
#ifdef NEW
	scratch[9] = 2;
#endif
}
API long lib_use(const unsigned char *s)
{
	begin();
	while (*s)
		count += *s++;
	return count;
}
API char *lib_scratch(int i)
{
	begin();
#ifdef NEW
	if (i > 63)
		return scratch;
#endif
	return scratch + i;
}
