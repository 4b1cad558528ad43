#include "fill.h"

struct peer {
	uint32_t address;
	uint16_t port;
	int n;
};
#ifdef NEW
#define IN32(x) __builtin_bswap32(x)
#else
#define IN32(x) (x)
#endif
API struct peer *peer_make(uint32_t a, uint16_t p)
{
	struct peer *it = malloc(sizeof *it);
	it->address = IN32(a);
	it->port = p;
	it->n = 0;
	return it;
}
API uint32_t peer_address(const struct peer *it)
{
	return IN32(it->address);
}
API int peer_is(struct peer *it, uint32_t a)
{
	it->n++;
	return IN32(it->address) == a;
}
API void peer_move(struct peer *it, uint32_t a)
{
	it->address = IN32(a);
}
