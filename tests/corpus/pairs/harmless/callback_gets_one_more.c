#include "fill.h"
struct source {
	int (*read)(void *, char *, int);
	void *data;
	int n;
};
API struct source *source_new(int (*read)(void *, char *, int), void *data)
{
	struct source *it = malloc(sizeof *it);
	it->read = read;
	it->data = data;
	it->n = 0;
	return it;
}
API int source_get(struct source *it, char *to, int most)
{
#ifdef NEW
	if (most < 1)
		return -1;
	it->n += 2;
#else
	it->n++;
#endif
	return it->read(it->data, to, most);
}
API int source_skip(struct source *it)
{
	char c[8];
#ifdef NEW
	int got = 0;
	for (int i = 0; i < 3; i++)
		got += it->read(it->data, c, sizeof c);
	return got;
#else
	return it->read(it->data, c, sizeof c) + 1;
#endif
}
