#include "fill.h"
struct source {
	int (*read)(
#ifdef NEW
		void *, int, char *
#else
		void *, char *
#endif
	);
	void *data;
	int n;
};
typedef int (*reader)();
API struct source *source_make(void *read, void *data)
{
	struct source *it = malloc(sizeof *it);
	it->read = read;
	it->data = data;
	it->n = 0;
	return it;
}
#ifdef NEW
API int source_get(struct source *it, char *to)
{
	it->n++;
	return it->read(it->data, it->n, to);
}
API int source_skip(struct source *it)
{
	char c;
	return it->read(it->data, 7, &c) + 1;
}
#else
API int source_get(struct source *it, char *to)
{
	it->n++;
	return it->read(it->data, to);
}
API int source_skip(struct source *it)
{
	char c;
	return it->read(it->data, &c) + 1;
}
#endif
API int source_count(struct source *it)
{
	return it->n * 3;
}
