#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "live.h"
#include "system.h"

/* Whoever listens can make us load code: only the user's own daemon or root's may. A user's one has to hold our threads
 * still, which Yama allows to whom a process names (PR_SET_PTRACER), and his children. */
static bool may_command(int channel)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	if (syscall(SYS_getsockopt, channel, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
	    (peer.uid != 0 && peer.uid != geteuid()))
		return false;
	if (peer.uid != 0)
		syscall(SYS_prctl, PR_SET_PTRACER, (long)peer.pid, 0L, 0L, 0L);
	return true;
}

int live_channel_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	live_copy(address.sun_path, live_settings.socket, sizeof address.sun_path);
	int channel = (int)syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (channel < 0)
		return -1;
	if (syscall(SYS_connect, channel, &address, sizeof address) == 0) {
		if (may_command(channel))
			return channel;
		live_report_trouble("not served, the socket belongs to another user", live_settings.socket);
		errno = EPERM;
	}
	int saved = errno;
	live_close(channel);
	errno = saved;
	return -1;
}

/* A name that one process at a time can have (abstract sockets, unix(7)). The daemon inherits it: as long as it
 * starts or lives, no other target starts one. Returns -1 while somebody has the name. */
static int claim_start(void)
{
	static const char suffix[] = ".start";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = live_length(live_settings.socket, sizeof address.sun_path - sizeof suffix);
	char *end = live_copy(address.sun_path + 1, live_settings.socket, length);
	end = live_copy(end, suffix, sizeof suffix - 1);
	int name = (int)syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0);
	if (name >= 0 && syscall(SYS_bind, name, &address, end - (char *)&address) != 0) {
		live_close(name);
		return -1;
	}
	return name;
}

enum { CHUNK = 4096, PROC_NAME_SIZE = 32 };

static int open_proc(pid_t pid, const char *file)
{
	char name[PROC_NAME_SIZE];
	snprintf(name, sizeof name, "/proc/%d/%s", (int)pid, file);
	return live_open(name, O_RDONLY);
}

static bool is_target(pid_t pid)
{
	static const char name[] = "/live.so\n";
	static char text[CHUNK + sizeof name];
	int maps = open_proc(pid, "maps");
	bool found = false;
	size_t kept = 0;
	for (ssize_t size; maps >= 0 && !found && (size = live_read(maps, text + kept, CHUNK)) > 0;) {
		size_t end = kept + (size_t)size, at = 0;
		while (at + sizeof name - 1 <= end && !found)
			found = live_same(text + at++, name, sizeof name - 1);
		live_copy(text, text + at, kept = end - at);
	}
	live_close(maps);
	return found;
}

/* 0 where that is not to be seen. */
static pid_t parent_of(pid_t pid)
{
	char text[CHUNK];
	int file = open_proc(pid, "stat");
	ssize_t size = live_read(file, text, sizeof text - 1);
	live_close(file);
	text[size > 0 ? size : 0] = 0;
	const char *state = strrchr(text, ')');
	return state && live_length(state, 5) == 5 ? (pid_t)strtol(state + 4, NULL, 10) : 0;
}

/* The first process of the first PID namespace is an init, whatever is preloaded to it. */
static bool has_init(void)
{
	static const char first[] = "pid:[4026531836]"; /* PROC_PID_INIT_INO, linux/proc_ns.h */
	char text[sizeof first];
	return syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/ns/pid", text, sizeof text) == sizeof first - 1 &&
	       live_same(text, first, sizeof first - 1);
}

/* The daemon is an orphan, which goes to the next process above that asked for such, or to the first one (prctl(2),
 * PR_SET_CHILD_SUBREAPER). No program that waits for its children may find it there: so what is below a target leaves
 * the start to that. */
static bool may_start_daemon(void)
{
	int adopts = 0;
	if (getpid() == 1 || prctl(PR_GET_CHILD_SUBREAPER, &adopts) != 0 || adopts)
		return false;
	for (pid_t pid = getppid(); pid > 1; pid = parent_of(pid))
		if (is_target(pid))
			return false;
	return has_init() || !is_target(1);
}

/* As vfork(2), which returns twice into one stack: here without a return address on it. The exit signal is 0: neither
 * SIGCHLD nor wait(2) shows the program a child that it did not make, nor does its tracer (strace -f) get it. */
static inline __attribute__((always_inline)) long make_process(void)
{
	const long flags = CLONE_VM | CLONE_VFORK | CLONE_UNTRACED;
#ifdef __x86_64__
	long result;
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_clone), "D"(flags), "S"(0L), "d"(0L), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
#elif defined __aarch64__
	register long x8 __asm__("x8") = SYS_clone, x0 __asm__("x0") = flags, x1 __asm__("x1") = 0;
	register long x2 __asm__("x2") = 0, x3 __asm__("x3") = 0, x4 __asm__("x4") = 0;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
#elif defined __riscv
	register long a7 __asm__("a7") = SYS_clone, a0 __asm__("a0") = flags, a1 __asm__("a1") = 0;
	register long a2 __asm__("a2") = 0, a3 __asm__("a3") = 0, a4 __asm__("a4") = 0;
	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4) : "memory");
	return a0;
#endif
}

static volatile bool is_executed; /* written by processes that share this memory */
static int claim;

/* What the program was limited to holds for the program. */
static void leave_limits(void)
{
	for (long resource = 0; resource < RLIM_NLIMITS; resource++) {
		struct rlimit limit;
		if (resource == RLIMIT_CORE || resource == RLIMIT_STACK ||
		    syscall(SYS_prlimit64, 0L, resource, NULL, &limit) != 0)
			continue;
		limit.rlim_cur = limit.rlim_max;
		syscall(SYS_prlimit64, 0L, resource, &limit, NULL);
	}
	syscall(SYS_setpriority, (long)PRIO_PROCESS, 0L, 0L);
	int score = live_open("/proc/self/oom_score_adj", O_WRONLY);
	live_write(score, "0", 1);
	live_close(score);
}

/* What the program has open is the program's: a pipe ends when that closes it. The claim becomes descriptor 3. */
static void leave_descriptors(void)
{
	enum { OURS = STDERR_FILENO + 1 };
	if (claim >= 0 && claim != OURS)
		claim = (int)syscall(SYS_dup3, (long)claim, (long)OURS, 0L);
	if (syscall(SYS_close_range, (long)(claim >= 0 ? OURS + 1 : OURS), (long)~0U, 0L) != 0)
		for (int number = claim >= 0 ? OURS + 1 : OURS; number < 1 << 20; number++)
			live_close(number);
	int nothing = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", (long)O_RDWR, 0L);
	for (int number = STDIN_FILENO; number <= STDERR_FILENO; number++)
		if (number != nothing)
			syscall(SYS_dup3, (long)nothing, (long)number, 0L);
	if (nothing > STDERR_FILENO)
		live_close(nothing);
}

/* Nothing but system calls: another thread of the program may hold any lock of the C library's, and this is a copy of
 * none of its memory. No terminal, no signal state, no descriptors but the claim. */
static noreturn __attribute__((noinline)) void become_daemon(void)
{
	static const char daemon[] = "daemon", on_demand[] = "--on-demand";
	const char *const arguments[] = {live_settings.daemon, daemon, on_demand, NULL};
	const unsigned long nothing[8] = {0}; /* SIG_DFL, no flags, no signals */
	for (long number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, nothing, NULL, 8L);
	syscall(SYS_rt_sigprocmask, (long)SIG_SETMASK, nothing, NULL, 8L);
	syscall(SYS_umask, 022L);
	leave_descriptors();
	leave_limits();
	is_executed = syscall(SYS_chdir, "/") == 0;
	if (is_executed)
		syscall(SYS_execve, live_settings.daemon, arguments, live_settings.environment);
	is_executed = false;
	for (;;)
		syscall(SYS_exit_group, 1L);
}

static noreturn __attribute__((noinline)) void make_daemon(void)
{
	syscall(SYS_setsid);
	if (make_process() == 0)
		become_daemon();
	for (;;)
		syscall(SYS_exit_group, 0L);
}

enum live_start live_channel_start_daemon(bool even_if_claimed)
{
	if (syscall(SYS_faccessat, AT_FDCWD, live_settings.daemon, (long)X_OK) != 0)
		return LIVE_START_IMPOSSIBLE;
	if (!may_start_daemon())
		return LIVE_START_UNWANTED;
	claim = claim_start();
	if (claim < 0 && !even_if_claimed)
		return LIVE_START_CLAIMED;
	is_executed = false;
	const int held = claim; /* the processes that share this memory change the other */
	long child = make_process();
	if (child == 0)
		make_daemon();
	while (child > 0 && syscall(SYS_wait4, child, NULL, (long)__WCLONE, NULL) < 0 && errno == EINTR)
		;
	if (held >= 0)
		live_close(held);
	return is_executed ? LIVE_STARTED : LIVE_START_IMPOSSIBLE;
}

/* What lies in the channel of a daemon that has gone is not asked for any more. */
bool live_channel_is_cut(int channel)
{
	struct pollfd poll = {.fd = channel};
	struct timespec now = {0, 0};
	return syscall(SYS_ppoll, &poll, 1L, &now, NULL, 0L) == 1 && poll.revents & POLLHUP;
}

bool live_channel_receive(int channel, struct live_message *message, int *sheet)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec data = {message, sizeof *message};
	struct msghdr header = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t size;
	*sheet = LIVE_NO_SHEET;
	while ((size = syscall(SYS_recvmsg, channel, &header, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	struct cmsghdr *passed = size > 0 ? CMSG_FIRSTHDR(&header) : NULL;
	if (passed && passed->cmsg_type == SCM_RIGHTS)
		live_copy(sheet, CMSG_DATA(passed), sizeof *sheet);
	else if (header.msg_flags & MSG_CTRUNC)
		*sheet = LIVE_SHEET_DROPPED;
	size_t head = offsetof(struct live_message, text);
	if (size < (ssize_t)head || message->text_size != (size_t)size - head) {
		if (*sheet >= 0)
			live_close(*sheet);
		return false;
	}
	return true;
}

bool live_channel_send(int channel, const struct live_message *message)
{
	size_t size = offsetof(struct live_message, text) + message->text_size;
	ssize_t sent;
	while ((sent = syscall(SYS_sendto, channel, message, size, (long)MSG_NOSIGNAL, NULL, 0L)) < 0 && errno == EINTR)
		;
	return sent == (ssize_t)size;
}
