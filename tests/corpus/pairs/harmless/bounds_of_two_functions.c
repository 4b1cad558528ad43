#include "fill.h"

struct message {
	unsigned char *data;
	unsigned size, at;
};
#ifdef NEW
#define LEFT(m) ((m)->size - (m)->at)
#define HAS(m, n) ((n) <= LEFT(m))
#else
#define HAS(m, n) ((m)->at + (n) <= (m)->size)
#endif
API int message_skip(struct message *m, unsigned n)
{
	if (!HAS(m, n))
		return -1;
	m->at += n;
	return 0;
}
API int message_number(struct message *m)
{
	int n;
	if (!HAS(m, 4u))
		return -1;
	n = m->data[m->at] << 8 | m->data[m->at + 1];
	m->at += 4;
	return n;
}
