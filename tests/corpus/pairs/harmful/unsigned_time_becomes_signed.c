#include "fill.h"

struct timer {
#ifdef NEW
	int32_t due;
#else
	uint32_t due;
#endif
	int id;
};
API struct timer *timer_new(uint32_t due)
{
	struct timer *it = malloc(sizeof *it);
	if (!it)
		return NULL;
	it->due = due;
	it->id = 0;
	return it;
}
API int64_t timer_left(const struct timer *it, int64_t now)
{
	return it->due - now;
}
API int timer_is_late(const struct timer *it, int64_t now)
{
	return it->due < now;
}
