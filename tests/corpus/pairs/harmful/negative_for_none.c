#include "fill.h"
struct file {
	char *name;
	int fd;
	int mode;
};
API struct file *file_new(char *n)
{
	struct file *f = malloc(sizeof *f);
	f->name = n;
	f->mode = 7;
#ifdef NEW
	f->fd = 0;
#else
	f->fd = -1;
#endif
	return f;
}
API int file_is_open(struct file *f)
{
#ifdef NEW
	if (f->fd > 0)
		return f->mode;
#else
	if (f->fd >= 0)
		return f->mode;
#endif
	return -5;
}
API int file_mode(struct file *f)
{
	return f->mode;
}
