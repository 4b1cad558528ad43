#include "fill.h"
struct tag {
	char *name;
	int n;
};
API struct tag *tag_new(char *name)
{
	struct tag *t = malloc(sizeof *t);
	t->n = 1;
	t->name = strdup(name);
	return t;
}
API char *tag_name(struct tag *t)
{
	return t->name;
}
API void tag_rename(struct tag *t, char *name)
{
#ifdef NEW
	free(t->name);
#endif
	t->name = strdup(name);
}
