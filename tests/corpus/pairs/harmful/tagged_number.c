#include "fill.h"
struct box {
	uintptr_t value;
	int n;
};
#ifdef NEW
#define NUMBER(v) ((uintptr_t)(v) << 1 | 1)
#define IS_NUMBER(x) ((x)&1)
#define VALUE(x) ((long)(x) >> 1)
#else
#define NUMBER(v) ((uintptr_t)(v) << 2 | 2)
#define IS_NUMBER(x) ((x)&2)
#define VALUE(x) ((long)(x) >> 2)
#endif
API struct box *box_number(long v)
{
	struct box *it = malloc(sizeof *it);
	it->value = NUMBER(v);
	it->n = 0;
	return it;
}
API struct box *box_pointer(void *p)
{
	struct box *it = malloc(sizeof *it);
	it->value = (uintptr_t)p;
	it->n = 1;
	return it;
}
API int box_is_number(const struct box *it)
{
	return IS_NUMBER(it->value) != 0;
}
API long box_value(const struct box *it)
{
	return IS_NUMBER(it->value) ? VALUE(it->value) : *(long *)it->value;
}
