#include "fill.h"
struct item {
	short id;
	char kind;
#ifdef NEW
	char locked;
#endif
	char *name;
};
API struct item *item_new(short id, char *name)
{
	struct item *i = malloc(sizeof *i);
	i->id = id;
	i->kind = 'x';
	i->name = name;
#ifdef NEW
	i->locked = 1;
#endif
	return i;
}
API char *item_name(struct item *i)
{
#ifdef NEW
	if (i->locked)
		return 0;
#endif
	return i->name;
}
API int item_id(struct item *i)
{
	return i->id;
}
