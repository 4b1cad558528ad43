/* live.so: does inside the target what the daemon asks for. This file is what wakes it: the thread, and its
 * life across fork(2). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "live.h"

enum {
	STACK_SIZE = 256 * 1024,
	MILLISECOND = 1000 * 1000,	/* in ns */
	START_LIMIT = 50 * MILLISECOND, /* how long the program waits for the thread to have its own descriptors */
	FORK_LIMIT = 2,			/* s: how long a fork waits, at most, for the loader's data to be in order */
	SHORTEST_PAUSE = 5 * MILLISECOND,
	CHILD_PAUSE = 50 * MILLISECOND, /* most children of fork(2) have ended or executed another program by then */
	LONGEST_PAUSE = 999 * MILLISECOND,
	ATTEMPTS_BEFORE_START = 12,	/* about 3 s: whoever claimed to start a daemon did not */
	ATTEMPTS_BEFORE_COMPLAINT = 20, /* about 11 s */
};

pthread_mutex_t live_work_lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t apart; /* futex: 1 once the thread has left the program's descriptors, root and folder */
static bool started_by_fork;
static __thread bool holds_work_lock; /* in the thread that forks */

static void announce_apart(void)
{
	__atomic_store_n(&apart, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &apart, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Where the program's thread may go on at once (see leave_folders), it does not wait for ours: with all processors
 * busy, that would be the whole of the limit. */
static void await_apart(void)
{
	struct timespec limit = {0, START_LIMIT};
	while (!__atomic_load_n(&apart, __ATOMIC_ACQUIRE))
		if (syscall(SYS_futex, &apart, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0) != 0 && errno == ETIMEDOUT)
			return;
}

/* Give this thread a descriptor table of its own, empty, and its own root and working folder: the program
 * can neither see nor close nor reuse what is ours, and what it closes is closed (unshare(2), close_range(2)). */
static bool stand_apart(void)
{
	unshare(CLONE_FS);
	if (syscall(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) != 0) {
		struct rlimit limit;
		if (unshare(CLONE_FILES) != 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
			return false;
		for (rlim_t number = 0; number < limit.rlim_cur && number < 1 << 20; number++)
			close((int)number);
	}
	/* What writes to standard output here, by mistake, must not meet a descriptor of ours. */
	while (open("/dev/null", O_RDWR) >= 0 && fcntl(STDERR_FILENO, F_GETFD) < 0)
		;
	return true;
}

/* True if only we keep the process alive: its first thread has ended (pthread_exit(3)) and no other is left. */
static bool is_last_thread(void)
{
	char text[1024];
	int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
	if (file >= 0)
		close(file);
	if (size <= 0)
		return false;
	text[size] = 0;
	const char *field = strrchr(text, ')'); /* proc(5): field 3 follows, num_threads is field 20 */
	if (!field || field[1] == 0 || field[2] != 'Z')
		return false;
	for (int number = 2; number < 20 && field; number++)
		field = strchr(field + 1, ' ');
	return field && strtol(field, NULL, 10) == 2;
}

static bool greet(int channel, struct live_message *message)
{
	memset(message, 0, offsetof(struct live_message, text));
	message->kind = LIVE_HELLO;
	message->argument[0] = LIVE_PROTOCOL;
	message->argument[1] = (uint64_t)gettid();
	message->argument[2] = (uintptr_t)malloc;
	message->argument[3] = (uintptr_t)__builtin_thread_pointer();
	message->text_size = (uint32_t)live_settings.variables_size;
	memcpy(message->text, live_settings.variables, live_settings.variables_size);
	return live_channel_send(channel, message);
}

/* Serve one daemon until it goes away. False: the thread shall end. */
static bool serve(int channel)
{
	static struct live_message message;
	int sheet;
	if (!greet(channel, &message))
		return true;
	while (live_channel_receive(channel, &message, &sheet)) {
		bool stay = live_work(&message, sheet);
		if (sheet >= 0)
			close(sheet);
		if (!stay)
			return false;
		if (!live_channel_send(channel, &message))
			return true;
	}
	return true;
}

static void rest(long nanoseconds)
{
	struct timespec time = {0, nanoseconds};
	nanosleep(&time, NULL);
}

/* Wait before the next attempt to reach a daemon, longer each time. */
static void pause_before(unsigned attempt)
{
	rest(attempt < 10 ? (long)SHORTEST_PAUSE << attempt / 2 : LONGEST_PAUSE);
}

static void *run(void *unused)
{
	bool may_start_daemon = !started_by_fork, was_served = false, stay = stand_apart();
	(void)unused;
	announce_apart();
	prctl(PR_SET_NAME, "live.so");
	if (started_by_fork)
		rest(CHILD_PAUSE);
	for (unsigned attempt = 0; stay && !is_last_thread(); attempt++) {
		int channel = live_channel_open();
		if (channel >= 0) {
			stay = serve(channel);
			close(channel);
			may_start_daemon = false;
			was_served = true;
			attempt = 0;
		} else if (may_start_daemon && (errno == ENOENT || errno == ECONNREFUSED)) {
			enum live_start start = live_channel_start_daemon(attempt >= ATTEMPTS_BEFORE_START);
			may_start_daemon = start == LIVE_START_CLAIMED;
			if (start == LIVE_START_IMPOSSIBLE)
				live_report_trouble("no daemon listens and none can be started, run `liveso daemon`",
						    live_settings.socket);
		} else if (attempt == ATTEMPTS_BEFORE_COMPLAINT && !was_served) {
			live_report_trouble("the daemon does not answer", live_settings.socket);
		}
		if (stay)
			pause_before(attempt);
	}
	return NULL;
}

/* In a child of fork(2) the program's thread is the only one but ours: it can be the one that gets a root and a working
 * folder of its own. Then ours has those of the moment, whatever the program does next and however late ours runs.
 * False where a filter may end whoever makes such a system call (seccomp(2)). */
static bool leave_folders(void)
{
	return prctl(PR_GET_SECCOMP) == 0 && unshare(CLONE_FS) == 0;
}

/* Start the thread with all signals blocked: they are the program's. */
static void start(void)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;
	__atomic_store_n(&apart, 0, __ATOMIC_RELEASE);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failure = pthread_create(&thread, &attributes, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (failure == 0 && !(started_by_fork && leave_folders()))
		await_apart();
	else if (failure != 0 && !started_by_fork)
		live_report_trouble("not served, no thread could be made", strerrordesc_np(failure));
}

/* A child must not inherit the loader's data half changed. Bounded: the forking thread may hold the loader's
 * lock (fork in a constructor) while our thread waits for that; then nothing is half changed. */
static void before_fork(void)
{
	int saved = errno;
	struct timespec limit;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += FORK_LIMIT;
	holds_work_lock = pthread_mutex_timedlock(&live_work_lock, &limit) == 0;
	errno = saved;
}

static void after_fork_in_parent(void)
{
	if (holds_work_lock) {
		holds_work_lock = false;
		pthread_mutex_unlock(&live_work_lock);
	}
}

static void after_fork_in_child(void)
{
	int saved = errno;
	live_work_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	holds_work_lock = false;
	started_by_fork = true;
	start();
	errno = saved;
}

__attribute__((constructor)) static void live_begin(void)
{
	int saved = errno;
	live_report_prepare();
	if (live_settings_read()) {
		pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
		start();
	}
	errno = saved;
}
