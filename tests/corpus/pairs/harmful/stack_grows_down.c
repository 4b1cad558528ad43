#include "fill.h"

#define SIZE 32
struct stack {
	long values[SIZE];
	int top;
};
API struct stack *stack_new(void)
{
	struct stack *it = malloc(sizeof *it);
	if (it)
#ifdef NEW
		it->top = SIZE;
#else
		it->top = 0;
#endif
	return it;
}
API int stack_push(struct stack *it, long value)
{
#ifdef NEW
	if (it->top == 0)
		return 0;
	it->values[--it->top] = value;
#else
	if (it->top == SIZE)
		return 0;
	it->values[it->top++] = value;
#endif
	return 1;
}
API long stack_pop(struct stack *it)
{
#ifdef NEW
	return it->top < SIZE ? it->values[it->top++] : -1;
#else
	return it->top > 0 ? it->values[--it->top] : -1;
#endif
}
