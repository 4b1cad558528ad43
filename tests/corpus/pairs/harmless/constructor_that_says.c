#include "fill.h"
static int level = 3;
__attribute__((constructor)) static void hello(void)
{
#ifdef NEW
	char t[40];
	t[0] = 'x';
	t[1] = 0;
	puts(t);
#endif
}
API int get_level(void)
{
	return level;
}
API void set_level(int n)
{
	level = n;
}
