#include "fill.h"

struct map {
	int slots[16];
	int used;
};
#ifdef NEW
#define FILL 0
#define IS_FREE(x) ((x) == 0)
#define KEEP(v) ((v) + 1)
#define GET(x) ((x)-1)
#else
#define FILL 0xff
#define IS_FREE(x) ((x) == -1)
#define KEEP(v) (v)
#define GET(x) (x)
#endif
API struct map *map_make(void)
{
	struct map *it = malloc(sizeof *it);
	memset(it->slots, FILL, sizeof it->slots);
	it->used = 0;
	return it;
}
API int map_put(struct map *it, int v)
{
	for (int i = 0; i < 16; i++)
		if (IS_FREE(it->slots[i])) {
			it->slots[i] = KEEP(v);
			it->used++;
			return i;
		}
	return -1;
}
API int map_get(const struct map *it, int i)
{
	return IS_FREE(it->slots[i]) ? -1 : GET(it->slots[i]);
}
API void map_clear(struct map *it)
{
	memset(it->slots, FILL, sizeof it->slots);
	it->used = 0;
}
