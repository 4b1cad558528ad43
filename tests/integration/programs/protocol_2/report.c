#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "live.h"

static struct stat standard_error;
static bool has_standard_error;

void live_report_prepare(void)
{
	has_standard_error = fstat(STDERR_FILENO, &standard_error) == 0;
}

/* A copy of a descriptor of the program's. The agent's thread has a table of its own, so it borrows through a
 * pidfd (pidfd_getfd(2)); holding a copy all the time would keep a pipe open that the program has closed. */
static int borrow(int number)
{
	int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (process < 0)
		return -1;
	int copy = (int)syscall(SYS_pidfd_getfd, process, number, 0);
	close(process);
	return copy;
}

void live_report(const char *text, size_t size)
{
	struct stat now;
	if (!has_standard_error)
		return;
	int saved = errno, output = borrow(STDERR_FILENO);
	if (output >= 0 && fstat(output, &now) == 0 && now.st_dev == standard_error.st_dev &&
	    now.st_ino == standard_error.st_ino && now.st_rdev == standard_error.st_rdev) {
		ssize_t ignored = write(output, text, size);
		(void)ignored;
	}
	if (output >= 0)
		close(output);
	errno = saved;
}

void live_lend_standard_streams(bool lend)
{
	for (int number = STDIN_FILENO; number <= STDERR_FILENO; number++) {
		int copy = lend ? borrow(number) : open("/dev/null", O_RDWR | O_CLOEXEC);
		if (copy >= 0) {
			dup2(copy, number);
			close(copy);
		}
	}
}

void live_report_trouble(const char *what, const char *subject)
{
	static bool said;
	char line[512], *end = line;
	const char *const parts[] = {"live.so: ", what, ": ", subject, "\n"};
	if (said)
		return;
	said = true;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		size_t room = (size_t)(line + sizeof line - end), size = strlen(parts[i]);
		end = mempcpy(end, parts[i], size < room ? size : room);
	}
	end[-1] = '\n';
	live_report(line, (size_t)(end - line));
}
