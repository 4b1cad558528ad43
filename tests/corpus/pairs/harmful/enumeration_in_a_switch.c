#include "fill.h"
#ifdef NEW
enum st { INIT, HANDSHAKE, OPEN, CLOSING, CLOSED };
#else
enum st { INIT, OPEN, CLOSING, CLOSED };
#endif
struct conn {
	char *buf;
	enum st st;
	int n;
};
API struct conn *conn_new(char *b)
{
	struct conn *c = malloc(sizeof *c);
	c->buf = b;
	c->st = INIT;
	c->n = 0;
	return c;
}
API void conn_step(struct conn *c)
{
	switch (c->st) {
	case INIT:
		c->st = OPEN;
		break;
	case OPEN:
		c->n += 3;
		c->st = CLOSING;
		break;
	case CLOSING:
		c->st = CLOSED;
		c->n = 9;
		break;
	default:
		c->n--;
	}
}
API int conn_is_open(struct conn *c)
{
	return c->st == OPEN ? c->n : -1;
}
API int conn_is_closed(struct conn *c)
{
	return c->st == CLOSED;
}
