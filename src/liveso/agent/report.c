#define _GNU_SOURCE
#include <errno.h>

#include "live.h"
#include "system.h"

static struct stat standard_error;
static bool has_standard_error;

void live_report_prepare(void)
{
	has_standard_error = syscall(SYS_fstat, STDERR_FILENO, &standard_error) == 0;
	live_area.error_device = has_standard_error ? standard_error.st_dev : 0;
	live_area.error_inode = has_standard_error ? standard_error.st_ino : 0;
}

/* A copy of a descriptor of the program's. The agent's thread has a table of its own, so it borrows through a
 * pidfd (pidfd_getfd(2)); holding a copy all the time would keep a pipe open that the program has closed. */
static int borrow(int number)
{
	int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (process < 0)
		return -1;
	int copy = (int)syscall(SYS_pidfd_getfd, process, number, 0);
	live_close(process);
	return copy;
}

void live_report(const char *text, size_t size)
{
	struct stat now;
	if (!has_standard_error)
		return;
	int saved = errno, output = borrow(STDERR_FILENO);
	if (output >= 0 && syscall(SYS_fstat, output, &now) == 0 && now.st_dev == standard_error.st_dev &&
	    now.st_ino == standard_error.st_ino && now.st_rdev == standard_error.st_rdev) {
		ssize_t ignored = live_write(output, text, size);
		(void)ignored;
	}
	if (output >= 0)
		live_close(output);
	errno = saved;
}

void live_lend_standard_streams(bool lend)
{
	for (int number = STDIN_FILENO; number <= STDERR_FILENO; number++) {
		int copy = lend ? borrow(number) : live_open("/dev/null", O_RDWR);
		if (copy >= 0) {
			syscall(SYS_dup3, copy, number, 0);
			live_close(copy);
		}
	}
}

void live_report_trouble(const char *what, const char *subject)
{
	static bool said;
	char line[512], *end = line;
	const char *const parts[] = {"live.so: ", what, ": ", subject, "\n"};
	if (said || !live_settings.may_report)
		return;
	said = true;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		size_t room = (size_t)(line + sizeof line - end), size = live_length(parts[i], LIVE_PATH_SIZE);
		end = live_copy(end, parts[i], size < room ? size : room);
	}
	end[-1] = '\n';
	live_report(line, (size_t)(end - line));
}
