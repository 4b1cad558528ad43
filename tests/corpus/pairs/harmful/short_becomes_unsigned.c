#include "fill.h"

struct point {
	void *shape;
#ifdef NEW
	unsigned short x, y;
#else
	short x, y;
#endif
};
API struct point *point_new(int x, int y)
{
	struct point *it = malloc(sizeof *it);
	if (!it)
		return NULL;
	it->shape = NULL;
	it->x = x;
	it->y = y;
	return it;
}
API int point_x(const struct point *it)
{
	return it->x;
}
API long point_distance(const struct point *it)
{
	return (long)it->x * it->x + (long)it->y * it->y;
}
API void point_move(struct point *it, int x, int y)
{
	it->x += x;
	it->y += y;
}
