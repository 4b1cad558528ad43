#include "fill.h"
/* Old objects have no room for the longer end that new code writes. */
#ifdef NEW
#define END 8
#else
#define END 1
#endif
struct name {
	size_t length, used;
	char s[];
};
API struct name *name_new(size_t n)
{
	struct name *it = malloc(sizeof *it + n + END);
	if (!it)
		abort();
	it->length = n;
	it->used = 0;
	memset(it->s, 0, END);
	return it;
}
API void name_add(struct name *it, char c)
{
	if (it->used < it->length) {
		it->s[it->used++] = c;
		memset(it->s + it->used, 0, END);
	}
}
API size_t name_used(struct name *it)
{
	return it->used;
}
