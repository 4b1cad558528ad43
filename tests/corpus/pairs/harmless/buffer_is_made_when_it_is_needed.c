#include "fill.h"

/* Objects from before have theirs already. */
struct channel {
	int fd;
	char *buffer;
	int used;
};
API struct channel *channel_new(int fd)
{
	struct channel *c = malloc(sizeof *c);
	c->fd = fd;
	c->used = 0;
#ifdef NEW
	c->buffer = 0;
#else
	c->buffer = malloc(4096);
#endif
	return c;
}
API void channel_put(struct channel *c, const char *s)
{
	int n = (int)strlen(s);
#ifdef NEW
	if (!c->buffer)
		c->buffer = malloc(4096);
#endif
	memcpy(c->buffer + c->used, s, n);
	c->used += n;
}
API void channel_free(struct channel *c)
{
	free(c->buffer);
	free(c);
}
