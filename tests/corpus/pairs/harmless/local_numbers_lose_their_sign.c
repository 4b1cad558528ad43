#include "fill.h"

#ifdef NEW
typedef unsigned number;
#else
typedef int number;
#endif
struct list {
	int *values;
	int size;
};
API struct list *list_new(int size)
{
	struct list *it = malloc(sizeof *it);
	if (!it)
		return NULL;
	it->values = calloc(size, sizeof *it->values);
	it->size = size;
	return it;
}
API long list_sum(const struct list *it)
{
	long sum = 0;
	for (number at = 0; at < (number)it->size; at++)
		sum += it->values[at];
	return sum;
}
API int list_at(const struct list *it, number at)
{
	return at < (number)1000 ? it->values[at] : -1;
}
API int list_middle(const struct list *it, number first, number last)
{
	return it->values[(first + last) / 2];
}
