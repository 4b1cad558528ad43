#include "fill.h"
struct tag {
	char *name;
	int n;
};
API struct tag *tag_new(char *name)
{
	struct tag *t = malloc(sizeof *t);
	t->n = 1;
#ifdef NEW
	t->name = strdup(name);
#else
	t->name = name;
#endif
	return t;
}
API char *tag_name(struct tag *t)
{
	return t->name;
}
API void tag_del(struct tag *t)
{
#ifdef NEW
	free(t->name);
#endif
	free(t);
}
