/* The process's first thread, its leader (pthread_exit(3), proc(5)): when ours has to end for its sake, and how. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "live.h"
#include "system.h"

enum {
	STATUS_SIZE = 8192,
	ATTEMPTS = 20,			  /* glibc changes the user of one thread after another (setuid(2)) */
	PAUSE_BETWEEN = 50 * 1000 * 1000, /* ns */
};

static unsigned *counted; /* by glibc, for whom the last of so many threads ends the process; NULL: not known */
static bool is_alone;	  /* nothing of the program's is there any more */

void live_leader_prepare(void)
{
	counted = dlvsym(RTLD_DEFAULT, "__nptl_nthreads", "GLIBC_PRIVATE"); /* where libthread_db finds it */
	if (!counted)
		dlerror();
}

void live_uncount_thread(void)
{
	if (counted)
		__atomic_fetch_sub(counted, 1, __ATOMIC_RELAXED);
}

/* Where the line after `line` begins, or `end`. */
static const char *next_line(const char *line, const char *end)
{
	while (line < end && *line++ != '\n')
		;
	return line;
}

static bool begins_with(const char *line, const char *end, const char *name)
{
	size_t size = live_length(name, STATUS_SIZE);
	return (size_t)(end - line) >= size && live_same(line, name, size);
}

/* What a thread may do, as lines of its status (proc(5)), in place of that; their size, 0 where it is not to be seen.
 * `is_ended` and `is_last` where the thread has ended, and no other is left but ours. */
static size_t read_rights(const char *name, char *text, bool *is_ended, bool *is_last)
{
	static const char *const rights[] = {"Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp"};
	int file = live_open(name, O_RDONLY);
	ssize_t size = live_read(file, text, STATUS_SIZE);
	live_close(file);
	const char *end = text + (size > 0 ? size : 0);
	char *kept = text;
	*is_ended = *is_last = false;
	for (const char *line = text, *next; line < end; line = next) {
		next = next_line(line, end);
		*is_ended |= begins_with(line, end, "State:\tZ") || begins_with(line, end, "State:\tX");
		*is_last |= begins_with(line, end, "Threads:\t2\n");
		for (size_t i = 0; i < sizeof rights / sizeof *rights; i++)
			if (begins_with(line, next, rights[i]))
				kept = live_copy(kept, line, (size_t)(next - line));
	}
	return (size_t)(kept - text);
}

bool live_may_stay(void)
{
	static char leaders[STATUS_SIZE], ours[STATUS_SIZE];
	const struct timespec pause = {0, PAUSE_BETWEEN};
	bool is_ended, is_last;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		size_t size = read_rights("/proc/self/status", leaders, &is_ended, &is_last);
		if (is_ended) {
			is_alone = is_last;
			return !is_last;
		}
		size_t own = read_rights("/proc/thread-self/status", ours, &is_ended, &is_last);
		if (size == 0 || own == 0 || (size == own && live_same(leaders, ours, size)))
			return true;
		nanosleep(&pause, NULL);
	}
	live_area.mode = LIVE_UNLIKE;
	return false;
}

/* What the first thread ended with, as waitpid(2) has it: the last field of proc(5), /proc/PID/stat. */
static int status_of_leader(void)
{
	char text[1024];
	int file = live_open("/proc/self/stat", O_RDONLY);
	ssize_t size = live_read(file, text, sizeof text - 1);
	live_close(file);
	text[size > 0 ? size : 0] = 0;
	const char *field = strrchr(text, ' ');
	return field ? (int)strtol(field + 1, NULL, 10) : 0;
}

/* Nobody else is there whom the signal's handler could be for. */
static void end_by_signal(int number)
{
	const unsigned long none[8] = {0}; /* SIG_DFL, no flags, no signals */
	syscall(SYS_rt_sigaction, (long)number, none, NULL, 8L);
	syscall(SYS_rt_sigprocmask, (long)SIG_SETMASK, none, NULL, 8L);
	syscall(SYS_tgkill, (long)getpid(), (long)gettid(), (long)number);
}

noreturn void live_end_thread(void)
{
	int status = is_alone ? status_of_leader() : 0;
	if (WIFSIGNALED(status))
		end_by_signal(WTERMSIG(status));
	for (;;)
		syscall(SYS_exit, (long)WEXITSTATUS(status));
}
