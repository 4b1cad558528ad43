#include "fill.h"
/* As many as every object has: the size is a constant, and grows. */
#ifdef NEW
#define ROOM 32
#else
#define ROOM 16
#endif
struct name {
	long used;
	char s[];
};
API struct name *name_new(void)
{
	struct name *it = malloc(sizeof *it + ROOM);
	if (!it)
		abort();
	it->used = 0;
	it->s[0] = 0;
	return it;
}
API long name_add(struct name *it, char c)
{
	if (it->used < ROOM)
		it->s[it->used++] = c;
	return it->used;
}
API long name_sum(struct name *it)
{
	long sum = 0;
	for (long i = 0; i < it->used; i++)
		sum += it->s[i];
	return sum;
}
