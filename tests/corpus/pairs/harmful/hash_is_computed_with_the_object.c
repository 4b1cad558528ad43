#include "fill.h"

struct symbol {
	unsigned hash;
	char *text;
};
static __attribute__((noinline)) unsigned hash(const char *s)
{
	unsigned h = 7;
	while (*s)
		h = h * 31 + (unsigned char)*s++;
	return h | 1;
}
API struct symbol *symbol_new(const char *s)
{
	struct symbol *it = malloc(sizeof *it);
	it->text = strdup(s);
#ifdef NEW
	it->hash = hash(s);
#else
	it->hash = 0;
#endif
	return it;
}
API unsigned symbol_hash(struct symbol *it)
{
#ifndef NEW
	if (!it->hash)
		it->hash = hash(it->text);
#endif
	return it->hash;
}
API int symbol_is(struct symbol *it, const char *s)
{
	return !strcmp(it->text, s);
}
