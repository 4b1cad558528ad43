#include "fill.h"

#include <dirent.h>
struct lister {
#ifdef NEW
	FILE *from;
#else
	DIR *from;
#endif
	int seen;
	char name[256];
};
API struct lister *lister_new(const char *path)
{
	struct lister *l = malloc(sizeof *l);
	l->seen = 0;
#ifdef NEW
	l->from = fopen(path, "r");
#else
	l->from = opendir(path);
#endif
	return l;
}
API const char *lister_next(struct lister *l)
{
#ifdef NEW
	if (!fgets(l->name, sizeof l->name, l->from))
		return 0;
#else
	struct dirent *it = readdir(l->from);
	if (!it)
		return 0;
	strcpy(l->name, it->d_name);
#endif
	l->seen++;
	return l->name;
}
API void lister_free(struct lister *l)
{
#ifdef NEW
	fclose(l->from);
#else
	closedir(l->from);
#endif
	free(l);
}
