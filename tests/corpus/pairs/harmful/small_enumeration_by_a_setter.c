#include "fill.h"
#ifdef NEW
enum { RED, PINK, GREEN, BLUE };
#else
enum { RED, GREEN, BLUE };
#endif
struct lamp {
	char *name;
	unsigned char color;
	unsigned char level;
	short n;
};
API struct lamp *lamp_new(char *name)
{
	struct lamp *l = malloc(sizeof *l);
	l->name = name;
	l->color = GREEN;
	l->level = 9;
	l->n = 0;
	return l;
}
API int lamp_is_green(struct lamp *l)
{
	return l->color == GREEN;
}
API void lamp_next(struct lamp *l)
{
	if (l->color == GREEN) {
		l->color = BLUE;
		l->n++;
	}
}
API int lamp_level(struct lamp *l)
{
	return l->level * l->n;
}
