#include "fill.h"
struct memory {
	void *(*get)(size_t);
	void (*put)(void *);
};
struct tag {
	struct tag *next;
	int kind, length;
#ifdef NEW
	char text[];
#else
	char text[1];
#endif
};
struct list {
	struct memory memory;
	struct tag *first;
};
API struct list *list_new(void)
{
	struct list *it = malloc(sizeof *it);
	it->memory.get = malloc;
	it->memory.put = free;
	it->first = 0;
	return it;
}
API struct tag *tag_new(struct list *list, int kind, const char *text, int n)
{
#ifdef NEW
	struct tag *it = list->memory.get(sizeof *it + n + 1);
#else
	struct tag *it = list->memory.get(sizeof *it + n);
#endif
	if (!it)
		return 0;
	memcpy(it->text, text, n);
	it->text[n] = 0;
	it->kind = kind;
	it->length = n;
	it->next = list->first;
	list->first = it;
	return it;
}
API int tag_sum(struct list *list, int kind)
{
	int sum = 0;
	for (struct tag *it = list->first; it; it = it->next)
		sum += it->kind == kind ? it->text[0] * it->length : 1;
	return sum;
}
API void tags_free(struct list *list)
{
	while (list->first) {
		struct tag *it = list->first;
		list->first = it->next;
		list->memory.put(it);
	}
}
