#include "fill.h"
#include <unistd.h>
static int ready;
static char line[64];
#ifdef NEW
static int fd;
#endif
API int log_init(const char *path)
{
	ready = 1;
	line[0] = 1;
#ifdef NEW
	fd = dup(2);
#endif
	return ready;
}
API int log_put(const char *s)
{
	if (!ready)
		return -1;
#ifdef NEW
	return (int)write(fd, s, strlen(s));
#else
	return (int)write(2, s, strlen(s));
#endif
}
API char *log_line(int i)
{
	return line + i;
}
