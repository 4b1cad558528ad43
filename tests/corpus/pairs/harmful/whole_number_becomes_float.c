#include "fill.h"

#ifdef NEW
static float level;
#else
static int level;
#endif
static char names[40];
API void l_add(int n)
{
	level += n;
}
API int l_get(void)
{
	return (int)level;
}
API char *l_name(int i)
{
	return names + i;
}
