#include "fill.h"

struct balance {
	const char *owner;
#ifdef NEW
	unsigned sum;
#else
	int sum;
#endif
};
API struct balance *balance_new(const char *owner)
{
	struct balance *it = calloc(1, sizeof *it);
	if (it)
		it->owner = owner;
	return it;
}
API void balance_add(struct balance *it, int n)
{
	it->sum += n;
}
API long balance_share(const struct balance *it, int people)
{
	return people > 0 ? it->sum / people : 0;
}
API int balance_is_low(const struct balance *it)
{
	return it->sum < 100;
}
API double balance_factor(const struct balance *it)
{
	return it->sum * 0.5;
}
API int balance_quarter(const struct balance *it)
{
	return it->sum >> 2;
}
