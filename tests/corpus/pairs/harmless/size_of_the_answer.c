#include "fill.h"
struct buffer {
	char *at;
	size_t used, room;
};
API struct buffer *buffer_new(size_t room)
{
	struct buffer *it = malloc(sizeof *it);
	it->room = room;
	it->at = malloc(room);
	it->used = 0;
	return it;
}
API int buffer_add(struct buffer *it, const char *s, size_t n)
{
	if (it->used + n > it->room)
		return -1;
	memcpy(it->at + it->used, s, n);
	it->used += n;
	return 0;
}
API size_t buffer_words(struct buffer *it)
{
#ifdef NEW
	return it->used >> 3;
#else
	return it->used;
#endif
}
API size_t buffer_before(struct buffer *it)
{
#ifdef NEW
	return it->used - 1;
#else
	return it->used;
#endif
}
