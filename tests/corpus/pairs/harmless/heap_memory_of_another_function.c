#include "fill.h"

/* And it is copied and compared by other functions, too. */
struct entry {
	char *name;
	int uses;
};
API struct entry *entry_new(const char *s)
{
	struct entry *e = malloc(sizeof *e);
#ifdef NEW
	e->name = strndup(s, 255);
#else
	e->name = strdup(s);
#endif
	e->uses = 0;
	return e;
}
API int entry_is(struct entry *e, const char *s)
{
#ifdef NEW
	return !strncmp(e->name, s, 255);
#else
	return !strcmp(e->name, s);
#endif
}
API void entry_free(struct entry *e)
{
	free(e->name);
	free(e);
}
