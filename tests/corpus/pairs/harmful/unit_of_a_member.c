#include "fill.h"
#ifdef NEW
#define UNIT 1000000
#else
#define UNIT 1000
#endif

struct timer {
	char *name;
	long due;
	long period;
};
API struct timer *timer_new(char *n, long seconds)
{
	struct timer *t = malloc(sizeof *t);
	t->name = n;
	t->due = seconds;
	t->period = seconds;
	return t;
}
API long timer_left(struct timer *t, long now)
{
	return t->due * UNIT - now;
}
API int timer_late(struct timer *t, long now)
{
	if (t->due * UNIT < now)
		return 1;
	return 0;
}
API long timer_period(struct timer *t)
{
	return t->period;
}
