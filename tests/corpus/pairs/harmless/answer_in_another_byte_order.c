#include "fill.h"
#ifdef NEW
#define ANSWER(x) __builtin_bswap32(x)
#else
#define ANSWER(x) (x)
#endif
struct peer {
	uint32_t address, mask;
	int users;
};
API struct peer *peer_new(uint32_t address, uint32_t mask)
{
	struct peer *it = malloc(sizeof *it);
	it->address = address;
	it->mask = mask;
	it->users = 1;
	return it;
}
API void peer_write(struct peer *it, unsigned char *out)
{
	uint32_t wire = ANSWER(it->address);
	memcpy(out, &wire, sizeof wire);
}
API int peer_matches(struct peer *it, uint32_t address)
{
	return (it->address & it->mask) == (address & it->mask);
}
API void peer_move(struct peer *it, uint32_t address)
{
	it->address = address;
	it->users++;
}
