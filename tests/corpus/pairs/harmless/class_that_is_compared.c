/* Objects are asked for their class, of which one function became another one: it stays the same object. */
#include "../fill.h"
struct class
{
	int (*send)(void *, int);
	int (*receive)(void *, int);
	void (*end)(void *);
};
struct object {
	const struct class *class;
	int sent, received;
};
static int send(void *it, int what)
{
	((struct object *)it)->sent += what * 3 + 1;
	return what;
}
#ifdef NEW
static int receive_all(void *it, int what)
{
	struct object *object = it;
	for (int i = 0; i < what; i++)
		object->received += i ^ (what << 2);
	if (object->received > 5000)
		object->received -= fill_d(object->sent);
	return object->received ? what : -1;
}
#else
static int receive(void *it, int what)
{
	((struct object *)it)->received = what;
	return 1;
}
#endif
static void end(void *it)
{
	memset(it, 0, sizeof(struct object));
	free(it);
}
#ifdef NEW
static const struct class own = {send, receive_all, end};
#else
static const struct class own = {send, receive, end};
#endif
API struct object *object_new(int sent)
{
	struct object *it = calloc(1, sizeof *it);
	if (it) {
		it->class = &own;
		it->sent = sent;
	}
	return it;
}
API int object_sent(const struct object *it)
{
	return it->class == &own ? it->sent : -1;
}
API int object_receive(struct object *it, int what)
{
	if (it->class != &own)
		return -1;
	return it->class->receive(it, what);
}
API void object_end(struct object *it)
{
	it->class->end(it);
}
