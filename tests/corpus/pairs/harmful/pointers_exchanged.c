#include "fill.h"
struct pair {
#ifdef NEW
	char *value, *key;
#else
	char *key, *value;
#endif
	int n;
};
API struct pair *pair_new(void)
{
	return calloc(1, sizeof(struct pair));
}
#ifdef NEW
API void pair_set(struct pair *p, char *k, char *v)
{
	if (!p || !k)
		return;
	p->value = v;
	p->key = k;
	p->n++;
}
API int pair_is(struct pair *p, const char *k)
{
	if (!k || !p->key)
		return 0;
	return strcmp(p->key, k) == 0;
}
API long pair_length(struct pair *p)
{
	if (!p)
		return -1;
	return (long)strlen(p->value) + p->n;
}
#else
API void pair_set(struct pair *p, char *k, char *v)
{
	p->key = k;
	p->value = v;
	p->n++;
}
API int pair_is(struct pair *p, const char *k)
{
	return strcmp(p->key, k) == 0;
}
API long pair_length(struct pair *p)
{
	return (long)strlen(p->value) + p->n;
}
#endif
