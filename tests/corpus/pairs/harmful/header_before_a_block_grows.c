#include "fill.h"

/* Blocks are handed out by what lies behind their header. */
struct header {
	size_t size;
#ifdef NEW
	struct header *next;
#endif
};
API void *block_new(size_t size)
{
	struct header *it = malloc(sizeof *it + size);
	if (!it)
		return NULL;
	it->size = size;
#ifdef NEW
	it->next = NULL;
#endif
	return it + 1;
}
API size_t block_size(const void *it)
{
	return it ? ((const struct header *)it)[-1].size : 0;
}
API void *block_copy(const void *it)
{
	size_t size = ((const struct header *)it)[-1].size;
	void *copy = block_new(size);
	return copy ? memcpy(copy, it, size) : NULL;
}
API void block_free(void *it)
{
	if (it)
		free((struct header *)it - 1);
}
