/* Hands out the addresses of constants, and compares them with what its tables hold. */
#define TEXT_OF(it) #it
#define TEXT(it) TEXT_OF(it)

struct kind {
	int size, flags;
};
struct method {
	const char *client, *server;
	const struct kind *kinds[2];
	int (*run)(void);
};
struct box {
	const char *name;
};

#if VERSION > 1 /* what lies behind moves */
const char *novelty(int it)
{
	return it ? "a text that version " TEXT(VERSION) " brings" : "and another one";
}
const struct kind *new_kind(int it)
{
	static const struct kind all[] = {{7, 1}, {7, 2}, {7, 3}};
	return &all[it];
}
#endif

static int run(void)
{
	return VERSION;
}

static const struct kind small = {8, 1}, large = {64, 3};
static const struct method plain = {"client finished", "server finished", {&small, &large}, run};
static const struct method *current = &plain;

void use_method(const struct method *it)
{
	current = it;
}
const char *label(void)
{
	return current->server;
}
const struct kind *kind(void)
{
	return current->kinds[1];
}
const char *literal(void)
{
	return "a literal by itself";
}
void name_it(struct box *it)
{
	it->name = "the name of a box";
}

int is_label(const char *it)
{
	return it == current->server;
}
int is_kind(const struct kind *it)
{
	return it == current->kinds[1];
}
int is_literal(const char *it)
{
	return it == literal();
}
int have_same_name(const struct box *one, const struct box *other)
{
	return one->name == other->name;
}
int version(void)
{
	return current->run();
}
int ends_with(const char *text, int letter) /* an end that is the beginning of what follows */
{
	static const char endings[] = "abcdefgh";
	for (const char *it = endings; it != endings + sizeof endings; it++)
		if (*it == letter)
			return text[0] != 0;
	return 0;
}
