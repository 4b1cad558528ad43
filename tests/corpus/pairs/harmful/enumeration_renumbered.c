#include "fill.h"

#ifdef NEW
enum st { INIT, HANDSHAKE, OPEN, CLOSING, CLOSED };
#else
enum st { INIT, OPEN, CLOSING, CLOSED };
#endif
struct conn {
	enum st st;
	int fd;
	char *buf;
};
API struct conn *conn_new(void)
{
	struct conn *c = malloc(sizeof *c);
	c->st = INIT;
	c->fd = -1;
	c->buf = 0;
	return c;
}
API void conn_open(struct conn *c, int fd)
{
	c->fd = fd;
	c->buf = malloc(100);
	c->st = OPEN;
}
API int conn_write(struct conn *c, const char *s)
{
	if (c->st != OPEN)
		return -1;
	strcpy(c->buf, s);
	return (int)strlen(s);
}
API void conn_close(struct conn *c)
{
	if (c->st == OPEN) {
		c->st = CLOSING;
		free(c->buf);
		c->st = CLOSED;
	}
}
