#include "fill.h"
struct job {
	void *data;
	long due;
	int kind;
#ifdef NEW
	int tries;
#endif
};
API struct job *job_new(void *d, int k)
{
	struct job *j = malloc(sizeof *j);
	j->data = d;
	j->due = 0;
	j->kind = k;
#ifdef NEW
	j->tries = 3;
#endif
	return j;
}
API int job_run(struct job *j)
{
#ifdef NEW
	if (j->tries-- <= 0)
		return -1;
#endif
	return j->kind + 1;
}
API long job_due(struct job *j)
{
	return j->due;
}
