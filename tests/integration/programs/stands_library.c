// A library that stands in its constructor (-DCONSTRUCTOR), while a symbol of it is bound (-DLAZY), or when it is
// called although it has an allocator (-DALLOCATOR).
#include <stddef.h>
#include <unistd.h>

static void wait_here(void)
{
	if (write(1, "ready\n", 6) == 6)
		for (;;)
			pause();
}

void stand(void)
{
	wait_here();
}

#ifdef ALLOCATOR
void *calloc(size_t count, size_t size)
{
	(void)count, (void)size;
	return NULL;
}
#endif

#ifdef CONSTRUCTOR
__attribute__((constructor)) static void at_start(void)
{
	wait_here();
}
#endif

#ifdef LAZY
static int answer(void)
{
	return 0;
}

static void *choose(void)
{
	static int is_bound;
	if (is_bound++ == 0)
		wait_here();
	return answer;
}

int chosen(void) __attribute__((ifunc("choose")));
#endif
