#include "fill.h"
#ifdef NEW
enum st { IDLE, STARTING, RUNNING, DONE };
#else
enum st { IDLE, RUNNING, DONE };
#endif
static enum st state;
static long beats;
static char note[40];
API void run_begin(void)
{
	if (state == IDLE)
		state = RUNNING;
}
API int run_beat(void)
{
	if (state != RUNNING)
		return -1;
	return (int)++beats;
}
API char *run_note(int i)
{
	return note + i;
}
API void run_end(void)
{
	if (state == RUNNING) {
		state = DONE;
		beats = 0;
	}
}
