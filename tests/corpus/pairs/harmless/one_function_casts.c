#include "fill.h"

/* What is stored stays what it was; one answer is given without its sign. */
struct level {
	int id;
	signed char now;
	short high;
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
	if (now > it->high)
		it->high = now;
}
API int level_get(const struct level *it)
{
	return it->now;
}
API unsigned level_bits(const struct level *it)
{
#ifdef NEW
	return (unsigned char)it->now;
#else
	return it->now;
#endif
}
API int level_sum(const struct level *it, int more)
{
	return it->now * 3 + it->high + more;
}
