#include "fill.h"

static char *name;
void ini(void);
__attribute__((visibility("hidden"))) void ini(void)
{
#ifdef NEW
	name = "hello";
#endif
}
API int len(void)
{
#ifdef NEW
	return (int)strlen(name);
#else
	return name ? 1 : 0;
#endif
}
API void setn(char *s)
{
	name = s;
}
