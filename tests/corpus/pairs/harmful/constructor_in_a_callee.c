#include "fill.h"
struct conf {
	int a, b;
	long c;
};
static struct conf defaults;
struct conf *conf_now = &defaults;
static __attribute__((noinline)) void fill(struct conf *c)
{
	c->b = 7;
#ifdef NEW
	c->c = 99;
#endif
}
__attribute__((constructor)) static void ini(void)
{
	fill(conf_now);
}
API long conf_c(void)
{
#ifdef NEW
	return 1000 / conf_now->c;
#else
	return conf_now->b;
#endif
}
API void conf_a(int a)
{
	defaults.a = a;
}
