#include "fill.h"

struct timer {
	struct timer *next;
	unsigned long due;
};
struct wheel {
	struct timer *slots[32];
	unsigned long now;
	int count;
};
#ifdef NEW
#define STEP 6
#else
#define STEP 4
#endif
API void wheel_add(struct wheel *w, struct timer *t, unsigned long in)
{
	unsigned long at;
	t->due = w->now + in;
	at = (t->due >> STEP) & 31;
	t->next = w->slots[at];
	w->slots[at] = t;
	w->count++;
}
API int wheel_turn(struct wheel *w, unsigned long now)
{
	int fired = 0;
	struct timer **at = &w->slots[(now >> STEP) & 31];
	w->now = now;
	while (*at) {
		struct timer *t = *at;
		if (t->due <= now) {
			*at = t->next;
			w->count--;
			fired++;
		} else {
			at = &t->next;
		}
	}
	return fired;
}
