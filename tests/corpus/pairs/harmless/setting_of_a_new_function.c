#include "fill.h"
static int ready;
static long count;
static char scratch[64];
#ifdef NEW
static const char *prefix;
API void lib_prefix(const char *p)
{
	prefix = p;
}
#endif
API void lib_init(void)
{
	ready = 1;
	count = 0;
	scratch[0] = 1;
}
API long lib_use(const char *s)
{
#ifdef NEW
	if (prefix)
		s += strlen(prefix);
#endif
	while (*s)
		count += *s++;
	return count;
}
API char *lib_scratch(int i)
{
	return scratch + i;
}
