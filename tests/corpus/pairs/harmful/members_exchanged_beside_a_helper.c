/* Two members exchange their places, and for another one than before the compiler calls what it inlines for the others.
 */
#include "fill.h"
struct counted {
	long users;
	void *data;
};
struct error {
#ifdef NEW
	struct counted *type, *trace, *value;
#else
	struct counted *type, *value, *trace;
#endif
	char *text;
};
static __attribute__((noinline)) void gone(struct counted *it)
{
	free(it->data);
	free(it);
}
API int may_free(void)
{
	return errno != EBUSY;
}
#define DROP(it)                                                                                                       \
	do {                                                                                                           \
		if (!*(it))                                                                                            \
			break;                                                                                         \
		if (!may_free())                                                                                       \
			abort();                                                                                       \
		if (*(it) && !--(*(it))->users)                                                                        \
			gone(*(it));                                                                                   \
	} while (0)
static __attribute__((noinline)) void drop(struct counted **it)
{
	DROP(it);
}
API struct error *error_new(struct counted *type, struct counted *value, struct counted *trace)
{
	struct error *it = malloc(sizeof *it);
	it->type = type;
	it->value = value;
	it->trace = trace;
	it->text = NULL;
	return it;
}
API void error_free(struct error *it)
{
	free(it->text);
#ifdef NEW
	DROP(&it->trace);
	drop(&it->value);
#else
	drop(&it->trace);
	DROP(&it->value);
#endif
	DROP(&it->type);
	free(it);
}
API void *error_value(struct error *it)
{
	return it->value->data;
}
