#include "fill.h"
struct name {
	size_t length;
	struct name *next;
#ifdef NEW
	char s[];
#else
	char s[1];
#endif
};
static struct name *names;
API struct name *name_new(const char *text)
{
	size_t n = strlen(text);
#ifdef NEW
	struct name *it = malloc(sizeof *it + n + 1);
#else
	struct name *it = malloc(sizeof *it + n);
#endif
	if (!it)
		abort();
	it->length = n;
	it->next = names;
	names = it;
	memcpy(it->s, text, n + 1);
	return it;
}
API struct name *name_find(const char *text)
{
	struct name *it = names;
	while (it && strcmp(it->s, text))
		it = it->next;
	return it;
}
API char name_at(struct name *it, size_t at)
{
	return at < it->length ? it->s[at] : 0;
}
