#include "fill.h"

#ifndef NUMBER
#define NUMBER long
#endif

struct heap {
	NUMBER *values;
	int count;
};
#ifdef NEW
#define ABOVE(a, b) ((a) > (b))
#else
#define ABOVE(a, b) ((a) < (b))
#endif
API void heap_push(struct heap *h, NUMBER value)
{
	int at = h->count++;
	while (at > 0 && ABOVE(value, h->values[(at - 1) / 2])) {
		h->values[at] = h->values[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	h->values[at] = value;
}
API NUMBER heap_pop(struct heap *h)
{
	NUMBER top = h->values[0], last = h->values[--h->count];
	int at = 0;
	for (;;) {
		int below = 2 * at + 1;
		if (below >= h->count)
			break;
		if (below + 1 < h->count && ABOVE(h->values[below + 1], h->values[below]))
			below++;
		if (!ABOVE(h->values[below], last))
			break;
		h->values[at] = h->values[below];
		at = below;
	}
	h->values[at] = last;
	return top;
}
