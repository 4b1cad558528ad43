#include "fill.h"

#define SIZE 16
struct ring {
	int values[SIZE];
	unsigned first, end;
};
#ifdef NEW
#define NEXT(at) (((at)-1) % SIZE)
#else
#define NEXT(at) (((at) + 1) % SIZE)
#endif
API struct ring *ring_new(void)
{
	return calloc(1, sizeof(struct ring));
}
API int ring_put(struct ring *it, int value)
{
	if (NEXT(it->end) == it->first)
		return 0;
	it->values[it->end] = value;
	it->end = NEXT(it->end);
	return 1;
}
API int ring_get(struct ring *it)
{
	int value;
	if (it->first == it->end)
		return -1;
	value = it->values[it->first];
	it->first = NEXT(it->first);
	return value;
}
