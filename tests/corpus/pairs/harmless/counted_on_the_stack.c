/* New code counts up and down, in an array of its own. */
#include "../fill.h"
struct text {
	char *start;
	long size;
};
API long text_balance(const struct text *it)
{
	int open[4] = {0, 0, 0, 0};
	for (long i = 0; i < it->size; i++) {
		if (it->start[i] == '(')
			open[0]++;
		else if (it->start[i] == ')')
			open[0]--;
#ifdef NEW
		else if (it->start[i] == '[')
			open[1]++;
		else if (it->start[i] == ']')
			open[1]--;
#endif
	}
	return open[0] * 10 + open[1];
}
API long text_other(const struct text *it)
{
	long found = it->size;
#ifdef NEW
	if (!it->start)
		return -1;
#endif
	return found + it->start[0];
}
