/* One more function counts in a member in which the same functions counted before. */
#include "../fill.h"
struct object {
	long id;
	int users, more;
	char name[40];
};
API struct object *object_new(long id)
{
	struct object *it = calloc(1, sizeof *it);
	if (it) {
		it->id = id;
		it->users = 1;
	}
	return it;
}
API struct object *object_take(struct object *it, int more)
{
#ifdef NEW
	if (more < 0)
		return NULL;
#endif
	it->users++;
	it->more = more;
	return it;
}
API int object_leave(struct object *it, const char *name)
{
	strncpy(it->name, name, sizeof it->name - 1);
	it->users--;
#ifdef NEW
	if (!name[0])
		it->name[0] = '-';
#endif
	return it->users;
}
