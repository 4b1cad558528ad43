#include "fill.h"
#ifdef NEW
struct point {
	float x, y, z;
};
#else
struct point {
	double x, y, z;
};
#endif
struct path {
	int count, room;
	struct point *points;
};
API struct path *path_new(int room)
{
	struct path *it = malloc(sizeof *it);
	it->count = 0;
	it->room = room;
	it->points = malloc(room * sizeof *it->points);
	return it;
}
API struct point *path_at(struct path *it, int n)
{
	return n < it->count ? &it->points[n] : 0;
}
API struct point *path_next(struct path *it)
{
	if (it->count == it->room) {
		it->room *= 2;
		it->points = realloc(it->points, it->room * sizeof *it->points);
	}
	return &it->points[it->count++];
}
API void path_cut(struct path *it, int n)
{
	memmove(it->points, it->points + n, (it->count - n) * sizeof *it->points);
	it->count -= n;
}
