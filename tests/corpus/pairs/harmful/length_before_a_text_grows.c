#include "fill.h"

/* The text is what is handed out; its length lies before it. */
#ifdef NEW
typedef size_t length;
#else
typedef unsigned length;
#endif
API char *text_new(const char *from)
{
	size_t n = strlen(from);
	char *it = malloc(sizeof(length) + n + 1);
	if (!it)
		return NULL;
	it += sizeof(length);
	((length *)it)[-1] = n;
	memcpy(it, from, n + 1);
	return it;
}
API size_t text_length(const char *it)
{
	return ((const length *)it)[-1];
}
API int text_is(const char *it, const char *other)
{
	return ((const length *)it)[-1] == strlen(other) && !strcmp(it, other);
}
API void text_free(char *it)
{
	if (it)
		free(it - sizeof(length));
}
