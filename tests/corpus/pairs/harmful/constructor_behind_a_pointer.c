#include "fill.h"

struct cfg {
	int a, b;
	char *name;
};
static struct cfg def;
struct cfg *cur = &def;
#ifdef NEW
__attribute__((constructor)) static void ini(void)
{
	cur->name = "x";
	cur->b = 7;
}
#else
__attribute__((constructor)) static void ini(void)
{
	cur->b = 7;
}
#endif
API int cfg_len(void)
{
#ifdef NEW
	return (int)strlen(cur->name) + cur->b;
#else
	return cur->b;
#endif
}
API void cfg_a(int a)
{
	def.a = a;
}
