/* live.so: does inside the target what the daemon asks for. This file is what happens by itself: a process says that it
 * is there, or has a thread that does so, also after fork(2). */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "live.h"
#include "system.h"

enum {
	STACK_SIZE = 256 * 1024,
	MILLISECOND = 1000 * 1000,	/* in ns */
	START_LIMIT = 50 * MILLISECOND, /* how long the program waits for the thread to have its own descriptors */
	FORK_LIMIT = 2,			/* s: how long a fork waits, at most, for the loader's data to be in order */
	SHORTEST_PAUSE = 5 * MILLISECOND,
	CHILD_PAUSE = 50 * MILLISECOND, /* most children of fork(2) have ended or executed another program by then */
	LONGEST_DOUBLING = 11,		/* about 10 s: a daemon that hangs up at once does so again */
	LONGEST_ABSENCE = 7,		/* about 0.6 s: a daemon that comes serves at once */
	ATTEMPTS_BEFORE_START = 7,	/* about 0.1 s: what a program asks for when it begins is known (prctl(2)) */
	ATTEMPTS_BEFORE_CLAIM = 17,	/* about 3 s: whoever claimed to start a daemon did not */
	ATTEMPTS_BEFORE_COMPLAINT = 29, /* about 11 s */
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
			live_close((int)number);
	}
	/* What writes to standard output here, by mistake, must not meet a descriptor of ours. */
	while (syscall(SYS_openat, AT_FDCWD, "/dev/null", (long)O_RDWR, 0L) >= 0 && !live_is_open(STDERR_FILENO))
		;
	return true;
}

static bool greet(int channel, struct live_message *message, pid_t thread)
{
	message->kind = LIVE_HELLO;
	message->status = LIVE_DONE;
	message->number = 0;
	message->argument[0] = LIVE_PROTOCOL;
	message->argument[1] = (uint64_t)thread;
	message->argument[2] = (uintptr_t)malloc;
	message->argument[3] = (uintptr_t)__builtin_thread_pointer();
	message->text_size = (uint32_t)live_settings.variables_size;
	live_copy(message->text, live_settings.variables, live_settings.variables_size);
	return live_channel_send(channel, message);
}

/* Serve one daemon until it goes away; `asked` where it asked for anything. False: the thread shall end. */
static bool serve(int channel, bool *asked)
{
	static struct live_message message;
	int sheet;
	if (!greet(channel, &message, gettid()))
		return true;
	while (live_channel_receive(channel, &message, &sheet)) {
		/* LIVE_CARRY: the others stand still, and become nothing else. What comes too late is not done. */
		bool stay = message.kind == LIVE_CARRY || live_may_stay();
		bool is_cut = live_channel_is_cut(channel);
		stay = stay && (is_cut || live_work(&message, sheet));
		*asked = true;
		if (sheet >= 0)
			live_close(sheet);
		if (!stay || is_cut)
			return stay;
		if (!live_channel_send(channel, &message)) {
			live_work_undelivered(&message);
			return true;
		}
	}
	return true;
}

static void rest(long nanoseconds)
{
	struct timespec time = {nanoseconds / (1000 * MILLISECOND), nanoseconds % (1000 * MILLISECOND)};
	nanosleep(&time, NULL);
}

static time_t seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Wait twice as long after each second attempt. */
static void pause_after(unsigned attempts, unsigned limit)
{
	rest((long)SHORTEST_PAUSE << (attempts / 2 < limit ? attempts / 2 : limit));
}

/* Why no daemon can be started, or none that was comes up. */
static void report_start(enum live_start start)
{
	const char *what =
		start == LIVE_START_UNWANTED
			? "no daemon listens, and a program above could find it among its children, run `liveso daemon`"
		: start == LIVE_STARTED ? "the daemon that was started does not come up, run `liveso daemon`"
					: "no daemon listens and none can be started, run `liveso daemon`";
	live_report_trouble(what, live_settings.socket);
}

static void *run(void *unused)
{
	bool may_start = !started_by_fork, was_served = false, stay = stand_apart();
	enum live_start start = LIVE_START_CLAIMED;
	unsigned attempts = 0, hangups = 0;
	(void)unused;
	announce_apart();
	prctl(PR_SET_NAME, "live.so");
	if (started_by_fork)
		rest(CHILD_PAUSE);
	while (stay && live_may_stay()) {
		int channel = live_channel_open();
		if (channel >= 0) {
			time_t begin = seconds();
			stay = serve(channel, &was_served);
			live_close(channel);
			hangups = seconds() - begin > 1 ? 0 : hangups + 1;
			may_start &= !was_served;
			attempts = 0;
			if (stay)
				pause_after(hangups, LONGEST_DOUBLING);
			continue;
		}
		bool is_absent = errno == ENOENT || errno == ECONNREFUSED;
		if (may_start && is_absent && attempts >= ATTEMPTS_BEFORE_START) {
			start = live_channel_start_daemon(attempts >= ATTEMPTS_BEFORE_CLAIM);
			may_start = start == LIVE_START_CLAIMED;
			if (start == LIVE_START_IMPOSSIBLE || start == LIVE_START_UNWANTED)
				report_start(start);
		} else if (attempts == ATTEMPTS_BEFORE_COMPLAINT && !was_served) {
			if (is_absent)
				report_start(start);
			else
				live_report_trouble("the daemon cannot be reached", strerrordesc_np(errno));
		}
		pause_after(attempts++, LONGEST_ABSENCE);
	}
	live_end_thread();
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
	if (failure == 0)
		live_uncount_thread();
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

/* Say that there is a process to be visited. A daemon that is not there yet finds it, too: it looks at all processes
 * when it starts. */
static void announce(void)
{
	static struct live_message message;
	int channel = live_channel_open();
	if (channel >= 0) {
		greet(channel, &message, 0);
		live_close(channel);
	} else if (errno != ENOENT && errno != ECONNREFUSED) {
		live_report_trouble("the daemon cannot be reached", strerrordesc_np(errno));
	} else if (!started_by_fork) {
		enum live_start start = live_channel_start_daemon(false);
		if (start == LIVE_START_IMPOSSIBLE || start == LIVE_START_UNWANTED)
			report_start(start);
	}
}

static void after_fork_in_child(void)
{
	int saved = errno;
	live_work_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	holds_work_lock = false;
	started_by_fork = true;
	if (live_area.mode == LIVE_UNLIKE) /* the child's thread is what the one that forked was */
		live_area.mode = LIVE_RESIDENT;
	if (live_area.mode == LIVE_RESIDENT)
		start();
	else if (live_area.mode == LIVE_VISITED)
		announce();
	errno = saved;
}

static void announce_child(void)
{
	int saved = errno;
	started_by_fork = true;
	announce();
	errno = saved;
}

__attribute__((constructor)) static void live_begin(void)
{
	int saved = errno;
	live_report_prepare();
	if (!live_settings_read()) {
		live_area.mode = LIVE_LEFT;
	} else if (live_settings.is_resident) {
		live_area.mode = LIVE_RESIDENT;
		live_leader_prepare();
		pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
		start();
	} else {
		pthread_atfork(NULL, NULL, announce_child);
		announce();
	}
	errno = saved;
}
