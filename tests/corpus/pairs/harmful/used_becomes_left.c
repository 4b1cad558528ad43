#include "fill.h"

#define ROOM 512
struct buffer {
	char *bytes;
	size_t count;
};
API struct buffer *buffer_new(void)
{
	struct buffer *it = malloc(sizeof *it);
	if (!it)
		return NULL;
	it->bytes = malloc(ROOM);
#ifdef NEW
	it->count = ROOM;
#else
	it->count = 0;
#endif
	return it;
}
API int buffer_add(struct buffer *it, const char *bytes, size_t n)
{
#ifdef NEW
	if (n > it->count)
		return 0;
	memcpy(it->bytes + ROOM - it->count, bytes, n);
	it->count -= n;
#else
	if (n > ROOM - it->count)
		return 0;
	memcpy(it->bytes + it->count, bytes, n);
	it->count += n;
#endif
	return 1;
}
API size_t buffer_size(const struct buffer *it)
{
#ifdef NEW
	return ROOM - it->count;
#else
	return it->count;
#endif
}
