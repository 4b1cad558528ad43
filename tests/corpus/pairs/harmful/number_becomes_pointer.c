#include "fill.h"
#ifdef NEW
static char *current;
#else
static unsigned long current;
#endif
static char names[48];
API void set_current(unsigned long n)
{
#ifdef NEW
	current = names + n % 48;
#else
	current = n * 7 + 3;
#endif
}
API int get_current(void)
{
#ifdef NEW
	return *current;
#else
	return (int)(current * 31 >> 3);
#endif
}
API char *name_at(int i)
{
	return names + i;
}
