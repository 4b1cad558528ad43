#include "fill.h"

struct header {
#ifdef NEW
	unsigned users, size;
#else
	unsigned size, users;
#endif
};
API void *block_new(unsigned size)
{
	struct header *it = malloc(sizeof *it + size);
	if (!it)
		return NULL;
	it->size = size;
	it->users = 1;
	return it + 1;
}
API unsigned block_size(const void *it)
{
	return it ? ((const struct header *)it)[-1].size : 0;
}
API void *block_take(void *it)
{
	((struct header *)it)[-1].users++;
	return it;
}
API void block_free(void *it)
{
	struct header *header = (struct header *)it - 1;
	if (--header->users == 0)
		free(header);
}
