/* A method of few instructions gives way to one that takes less: objects from before keep the table with the old one,
   which reads what nobody gives it any more. */
#include "../fill.h"
struct shape;
struct methods {
	long (*area)(struct shape *it);
#ifdef NEW
	long (*scaled)(struct shape *it, long by);
#else
	long (*scaled)(struct shape *it, long by, long more);
#endif
	long (*border)(struct shape *it, long width);
};
struct shape {
	const struct methods *methods;
	long width, height, more;
};
static long area(struct shape *it)
{
	long found = it->width * it->height;
	for (long at = 0; at < it->height; at += 7)
		found -= at ^ it->more;
	return found;
}
#ifdef NEW
static long scaled(struct shape *it, long by)
{
	return it->width * by + it->more;
}
#else
static long scaled(struct shape *it, long by, long more)
{
	return it->width * by + more;
}
#endif
static long border(struct shape *it, long width)
{
	long found = 2 * (it->width + it->height) * width;
	for (long at = 1; at < width; at *= 3)
		found += at % 11;
	return found;
}
static const struct methods methods = {area, scaled, border};
API struct shape *shape_new(long width, long height, long more)
{
	struct shape *it = malloc(sizeof *it);
	if (it)
		*it = (struct shape){&methods, width, height, more};
	return it;
}
API long shape_scaled(struct shape *it, long by)
{
#ifdef NEW
	return it->methods->scaled(it, by) % 1009;
#else
	return it->methods->scaled(it, by, it->more) % 1009;
#endif
}
API long shape_area(struct shape *it)
{
	return it->methods->area(it) % 1013;
}
