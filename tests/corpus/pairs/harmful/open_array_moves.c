#include "fill.h"
/* Less is asked for, because a member before the array is gone. */
struct name {
	size_t length;
#ifndef NEW
	long uses;
#endif
	char s[];
};
API struct name *name_new(size_t n)
{
	struct name *it = malloc(sizeof *it + n);
	if (!it)
		abort();
	it->length = n;
	return it;
}
API void name_set(struct name *it, const char *text)
{
	memcpy(it->s, text, it->length);
}
API int name_is(struct name *it, const char *text)
{
	return !memcmp(it->s, text, it->length);
}
API char name_at(struct name *it, size_t at)
{
	return at < it->length ? it->s[at] : 0;
}
