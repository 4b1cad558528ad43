/* A reserve of zeros becomes the number of users: those that are there already were not counted. */
#include "../fill.h"
struct object {
	long id, flags;
#ifdef NEW
	long users;
#else
	long reserved;
#endif
	char name[40];
};
API struct object *object_new(long id)
{
	struct object *it = malloc(sizeof *it);
	if (it) {
		memset(it, 0, sizeof *it);
		it->id = id;
	}
	return it;
}
API struct object *object_take(struct object *it, long flags)
{
	it->flags |= flags;
#ifdef NEW
	it->users++;
#endif
	return it->id > 3 ? it : NULL;
}
API int object_leave(struct object *it, const char *name)
{
	strncpy(it->name, name, sizeof it->name - 1);
#ifdef NEW
	if (--it->users <= 0) {
		it->id = -1;
		return 1;
	}
#endif
	return (int)it->flags;
}
