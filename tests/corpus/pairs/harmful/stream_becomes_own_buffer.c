#include "fill.h"

#include <fcntl.h>
#include <unistd.h>
struct buffer {
	int fd, used;
	char room[256];
};
struct log {
	const char *path;
#ifdef NEW
	struct buffer *out;
#else
	FILE *out;
#endif
	int lines;
};
#ifdef NEW
static __attribute__((noinline)) void flush(struct buffer *b)
{
	if (write(b->fd, b->room, b->used) >= 0)
		b->used = 0;
}
static __attribute__((noinline)) void put(struct buffer *b, const char *s)
{
	while (*s) {
		if (b->used == 256)
			flush(b);
		b->room[b->used++] = *s++;
	}
}
#endif
API struct log *log_open(const char *path)
{
	struct log *l = malloc(sizeof *l);
	l->path = path;
	l->lines = 0;
#ifdef NEW
	l->out = malloc(sizeof *l->out);
	l->out->fd = open(path, O_WRONLY);
	l->out->used = 0;
#else
	l->out = fopen(path, "a");
#endif
	return l;
}
API void log_say(struct log *l, const char *s)
{
#ifdef NEW
	put(l->out, s);
#else
	fputs(s, l->out);
#endif
	l->lines++;
}
API void log_flush(struct log *l)
{
#ifdef NEW
	flush(l->out);
#else
	fflush(l->out);
#endif
}
