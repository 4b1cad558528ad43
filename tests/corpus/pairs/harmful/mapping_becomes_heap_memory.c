#include "fill.h"

#include <sys/mman.h>
struct area {
	void *at;
	size_t size;
	int users;
};
API struct area *area_new(size_t size)
{
	struct area *a = malloc(sizeof *a);
	a->size = size;
	a->users = 1;
#ifdef NEW
	a->at = malloc(size);
#else
	a->at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#endif
	return a;
}
API void area_drop(struct area *a)
{
	if (--a->users)
		return;
#ifdef NEW
	free(a->at);
#else
	munmap(a->at, a->size);
#endif
	free(a);
}
