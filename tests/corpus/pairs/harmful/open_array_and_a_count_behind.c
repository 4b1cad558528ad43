#include "fill.h"
/* Less is asked for, and yet there is something behind the text. */
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
	struct name *it = malloc(sizeof *it + n + 1 + sizeof(int));
#else
	struct name *it = malloc(sizeof *it + n);
#endif
	if (!it)
		abort();
	it->length = n;
	it->next = names;
	names = it;
	memcpy(it->s, text, n + 1);
#ifdef NEW
	memset(it->s + n + 1, 0, sizeof(int));
#endif
	return it;
}
API int name_is(struct name *it, const char *text)
{
#ifdef NEW
	int uses;
	memcpy(&uses, it->s + it->length + 1, sizeof uses);
	uses++;
	memcpy(it->s + it->length + 1, &uses, sizeof uses);
	return uses < 1000 ? !strcmp(it->s, text) : 0;
#else
	return !strcmp(it->s, text);
#endif
}
API char name_at(struct name *it, size_t at)
{
	return at < it->length ? it->s[at] : 0;
}
