#include "fill.h"
#ifdef NEW
#define N 160
#else
#define N 64
#endif

struct o {
	int st;
	int n;
	char *b;
};
API int o_show(struct o *x)
{
	char t[N];
	snprintf(t, sizeof t, "%d-%d", x->st, x->n);
	return (int)strlen(t);
}
API int o_line(struct o *x, const char *s)
{
	char t[N];
	memset(t, 0, sizeof t);
	strncpy(t, s, sizeof t - 1);
	return fill_a(t) + x->n;
}
