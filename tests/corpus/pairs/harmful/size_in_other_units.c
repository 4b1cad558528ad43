#include "fill.h"
struct buffer {
	char *at;
	size_t used, room;
};
#ifdef NEW
#define UNITS(n) (((n) + 7) / 8)
#define BYTES(n) ((n)*8)
#else
#define UNITS(n) (n)
#define BYTES(n) (n)
#endif
API struct buffer *buffer_make(size_t room)
{
	struct buffer *it = malloc(sizeof *it);
	it->room = UNITS(room);
	it->at = malloc(BYTES(it->room));
	it->used = 0;
	return it;
}
API int buffer_add(struct buffer *it, const char *s, size_t n)
{
	if (it->used + n > BYTES(it->room))
		return -1;
	memcpy(it->at + it->used, s, n);
	it->used += n;
	return 0;
}
API size_t buffer_left(const struct buffer *it)
{
	return BYTES(it->room) - it->used;
}
