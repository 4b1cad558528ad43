#include "fill.h"

struct table {
	int size;
	long values[32];
	long sum;
};
API struct table *table_new(void)
{
	return calloc(1, sizeof(struct table));
}
API int table_add(struct table *it, long value)
{
	if (it->size == 32)
		return -1;
	it->values[it->size] = value;
	it->sum += value;
	return it->size++;
}
#ifdef NEW
#define EACH(at, it) (int at = (it)->size - 1; at >= 0; at--)
#else
#define EACH(at, it) (int at = 0; at < (it)->size; at++)
#endif
API long table_most(const struct table *it)
{
	long most = 0;
	for
		EACH(at, it)
	if (it->values[at] > most)
		most = it->values[at];
	return most;
}
API int table_count(const struct table *it, long value)
{
	int n = 0;
	for
		EACH(at, it)
	n += it->values[at] == value;
	return n;
}
API void table_scale(struct table *it, long by)
{
	for
		EACH(at, it)
		{
			it->sum += it->values[at] * (by - 1);
			it->values[at] *= by;
		}
}
