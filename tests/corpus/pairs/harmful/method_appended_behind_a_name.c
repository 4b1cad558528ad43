#include "fill.h"
struct ops {
	const char *name;
	int (*open)(int);
	int (*shut)(int);
#ifdef NEW
	int (*seek)(int);
#endif
};
static int p_open(int x)
{
	return x * 3 + 1;
}
static int p_shut(int x)
{
	return x - 7;
}
#ifdef NEW
static int p_seek(int x)
{
	return x ^ 5;
}
static const struct ops plain = {"plain", p_open, p_shut, p_seek};
#else
static const struct ops plain = {"plain", p_open, p_shut};
#endif
struct dev {
	int n;
	const struct ops *ops;
};
API struct dev *dev_new(void)
{
	struct dev *d = malloc(sizeof *d);
	d->ops = &plain;
	d->n = 0;
	return d;
}
API int dev_go(struct dev *d, int x)
{
#ifdef NEW
	x = d->ops->seek(x);
#endif
	return d->ops->open(x) + d->ops->shut(x);
}
API const char *dev_name(struct dev *d)
{
	return d->ops->name;
}
