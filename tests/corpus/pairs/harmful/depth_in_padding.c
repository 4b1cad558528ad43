/* A padding that was cleared becomes the depth: what is open already was not counted. */
#include "../fill.h"
struct parser {
	char *text;
	int error;
#ifdef NEW
	unsigned depth;
#endif
	void *user;
	long seen;
};
API struct parser *parser_new(void *user)
{
	struct parser *it = calloc(1, sizeof *it);
	if (it)
		it->user = user;
	return it;
}
API int parser_open(struct parser *it, const char *name)
{
	if (it->error)
		return -1;
#ifdef NEW
	if (++it->depth > 256) {
		it->error = 3;
		return -1;
	}
#endif
	free(it->text);
	it->text = strdup(name);
	return it->text ? 0 : -1;
}
API int parser_close(struct parser *it, long seen)
{
	if (it->error)
		return -1;
#ifdef NEW
	it->depth--;
#endif
	it->seen += seen * 3;
	return (int)(it->seen % 7);
}
