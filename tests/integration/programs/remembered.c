/* A library whose addresses a program remembers: of functions, constants and tables. */
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))

struct item;
struct kind {
	const char *name;
	int (*run)(int);
};
struct item {
	const char *text;
	const char *mark;
	int (*call)(int);
	const struct kind *kind;
	int count;
};

static const char empty[1] = "";
API const char none[] = "none";

#if VERSION == 2
API int only_second(int number)
{
	return number * 7 % 13;
}
#endif

static int work(int number)
{
	return number * 10 + VERSION;
}

static int other(int number)
{
	return number * 20 + VERSION;
}

static const struct kind plain = {"plain", work}, special = {"special", other};

API struct item *item_new(int is_special)
{
	struct item *it = calloc(1, sizeof *it);
	it->text = empty;
	it->mark = none;
	it->call = is_special ? other : work;
	it->kind = is_special ? &special : &plain;
	return it;
}

/* What of the item's pointers the library knows again. */
API int item_known(const struct item *it)
{
	int is_special = it->kind == &special;
	return (it->text == empty) | (it->mark == none) << 1 | (it->call == (is_special ? other : work)) << 2 |
	       (it->kind == (is_special ? &special : &plain)) << 3;
}

API void item_set(struct item *it, const char *text)
{
	if (it->text != empty)
		free((char *)it->text);
	it->text = strdup(text);
	it->count += VERSION;
}

API void item_delete(struct item *it)
{
	if (it->text != empty)
		free((char *)it->text);
	free(it);
}

API int (*item_worker(void))(int)
{
	return work;
}

API int item_run(struct item *it)
{
	return it->call(1) * 1000 + it->kind->run(2);
}

API int version(void)
{
	return VERSION;
}
