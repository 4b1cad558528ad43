#include "fill.h"
/* Who frees an object says how large it is, and what was made before was larger. */
struct name {
	size_t length;
	struct name *next;
#ifdef NEW
	char s[];
#else
	char s[1];
#endif
};
static size_t in_use;
static __attribute__((noinline)) void *take(size_t n)
{
	in_use += n;
	return malloc(n);
}
static __attribute__((noinline)) void give(void *p, size_t n)
{
	if (n > in_use)
		abort();
	in_use -= n;
	free(p);
}
#ifdef NEW
#define SIZE(n) (sizeof(struct name) + (n) + 1)
#else
#define SIZE(n) (sizeof(struct name) + (n))
#endif
API struct name *name_new(const char *text)
{
	size_t n = strlen(text);
	struct name *it = take(SIZE(n));
	if (!it)
		abort();
	it->length = n;
	it->next = 0;
	memcpy(it->s, text, n + 1);
	return it;
}
API void name_free(struct name *it)
{
	give(it, SIZE(it->length));
}
API int names_are_freed(void)
{
	return in_use == 0;
}
