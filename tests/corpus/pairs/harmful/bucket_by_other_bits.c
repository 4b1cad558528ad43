#include "fill.h"

struct entry {
	struct entry *next;
	unsigned hash;
	const char *key;
	void *value;
};
struct table {
	struct entry **buckets;
	unsigned size, used;
};
static unsigned hash(const char *s)
{
	unsigned h = 5381;
	while (*s)
		h = h * 33 + (unsigned char)*s++;
	return h;
}
#ifdef NEW
#define BUCKET(t, h) (((h) ^ ((h) >> 15)) & ((t)->size - 1))
#else
#define BUCKET(t, h) ((h) & ((t)->size - 1))
#endif
API void table_put(struct table *t, struct entry *e)
{
	unsigned at;
	e->hash = hash(e->key);
	at = BUCKET(t, e->hash);
	e->next = t->buckets[at];
	t->buckets[at] = e;
	t->used++;
}
API void *table_get(struct table *t, const char *key)
{
	unsigned h = hash(key);
	for (struct entry *e = t->buckets[BUCKET(t, h)]; e; e = e->next)
		if (e->hash == h && !strcmp(e->key, key))
			return e->value;
	return 0;
}
