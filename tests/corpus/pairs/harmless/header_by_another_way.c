#include "fill.h"

/* The number before a text is reached as an element, or as a member. */
struct header {
	unsigned length, users;
};
API char *text_new(const char *from)
{
	size_t n = strlen(from);
	struct header *it = malloc(sizeof *it + n + 1);
	if (!it)
		return NULL;
	it->length = n;
	it->users = 1;
	return memcpy(it + 1, from, n + 1);
}
API size_t text_length(const char *it)
{
#ifdef NEW
	return it ? ((const unsigned *)it)[-2] : 0;
#else
	return ((const struct header *)it - 1)->length;
#endif
}
API int text_users(const char *it)
{
#ifdef NEW
	return it ? (int)((const unsigned *)it)[-1] : 0;
#else
	return ((const struct header *)it - 1)->users;
#endif
}
API char *text_take(char *it)
{
	((struct header *)it)[-1].users++;
	return it;
}
