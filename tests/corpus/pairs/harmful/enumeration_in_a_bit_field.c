#include "fill.h"
#ifdef NEW
enum { IDLE, WAITING, BUSY, DONE };
#else
enum { IDLE, BUSY, WAITING, DONE };
#endif
struct task {
	unsigned id : 20, state : 3, flags : 9;
	int runs;
};
API struct task *task_make(int id)
{
	struct task *it = malloc(sizeof *it);
	it->id = id;
	it->state = IDLE;
	it->flags = 0;
	it->runs = 0;
	return it;
}
API void task_start(struct task *it)
{
	it->state = BUSY;
	it->runs++;
}
API void task_wait(struct task *it)
{
	it->state = WAITING;
}
API int task_is_busy(const struct task *it)
{
	return it->state == BUSY;
}
API int task_is_waiting(const struct task *it)
{
	return it->state == WAITING ? it->runs : 0;
}
