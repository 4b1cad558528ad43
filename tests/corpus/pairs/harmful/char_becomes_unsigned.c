#include "fill.h"

struct level {
	int id;
#ifdef NEW
	unsigned char now;
#else
	signed char now;
#endif
	char name[8];
};
API struct level *level_new(int id)
{
	struct level *it = calloc(1, sizeof *it);
	if (it)
		it->id = id;
	return it;
}
API void level_set(struct level *it, int now)
{
	it->now = now;
}
API int level_get(const struct level *it)
{
	return it->now;
}
API int level_sum(const struct level *it, int more)
{
	return it->now * 3 + more;
}
