#include "fill.h"
#ifdef NEW
#define NONE ((void *)0)
#else
#define NONE ((void *)-1)
#endif
struct map {
	void *start;
	long size;
	int uses;
};
API struct map *map_new(long n)
{
	struct map *m = malloc(sizeof *m);
	m->start = NONE;
	m->size = n;
	m->uses = 3;
	return m;
}
API int map_is(struct map *m)
{
	return m->start != NONE;
}
API void map_drop(struct map *m)
{
	if (m->start != NONE)
		free(m->start);
	m->start = NONE;
	m->uses = 0;
}
