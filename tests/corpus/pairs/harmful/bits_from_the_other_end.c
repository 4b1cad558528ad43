#include "fill.h"

struct set {
	unsigned char *bits;
	unsigned count;
};
#ifdef NEW
#define BIT(i) (0x80 >> ((i)&7))
#else
#define BIT(i) (1 << ((i)&7))
#endif
API void set_add(struct set *s, unsigned i)
{
	s->bits[i >> 3] |= BIT(i);
}
API void set_remove(struct set *s, unsigned i)
{
	s->bits[i >> 3] &= ~BIT(i);
}
API int set_has(struct set *s, unsigned i)
{
	return (s->bits[i >> 3] & BIT(i)) != 0;
}
