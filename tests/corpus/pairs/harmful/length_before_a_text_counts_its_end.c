#include "fill.h"

/* The number before a text counts the closing zero, too, in the new version. */
#ifdef NEW
#define END 1
#else
#define END 0
#endif
API char *text_new(const char *from)
{
	size_t n = strlen(from);
	unsigned *it = malloc(sizeof *it + n + 1);
	if (!it)
		return NULL;
	*it = n + END;
	memcpy(it + 1, from, n + 1);
	return (char *)(it + 1);
}
API size_t text_length(const char *it)
{
	return ((const unsigned *)it)[-1] - END;
}
API char *text_copy(const char *it)
{
	unsigned n = ((const unsigned *)it)[-1] - END;
	unsigned *copy = malloc(sizeof *copy + n + 1);
	if (!copy)
		return NULL;
	*copy = n + END;
	memcpy(copy + 1, it, n + 1);
	return (char *)(copy + 1);
}
API void text_free(char *it)
{
	if (it)
		free((unsigned *)it - 1);
}
