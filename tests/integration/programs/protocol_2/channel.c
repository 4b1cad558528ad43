#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live.h"

/* Whoever listens can make us load code: only the user's own daemon or root's may. */
static bool may_command(int channel)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	return getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

int live_channel_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, live_settings.socket);
	int channel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (channel < 0)
		return -1;
	if (connect(channel, (struct sockaddr *)&address, sizeof address) == 0) {
		if (may_command(channel))
			return channel;
		live_report_trouble("not served, the socket belongs to another user", live_settings.socket);
		errno = EPERM;
	}
	int saved = errno;
	close(channel);
	errno = saved;
	return -1;
}

/* The daemon's first steps: no terminal, no signal state, and of the agent's descriptors only the first
 * three, which are /dev/null. */
static int become_daemon(void *unused)
{
	char *const arguments[] = {live_settings.daemon, "daemon", "--on-demand", NULL};
	sigset_t none;
	(void)unused;
	setsid();
	if (syscall(SYS_clone, 0, NULL, NULL, NULL, NULL) != 0)
		_exit(0);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	if (chdir("/") != 0)
		_exit(1);
	execve(live_settings.daemon, arguments, live_settings.environment);
	_exit(1);
}

/* A name that one process at a time can have (abstract sockets, unix(7)). The daemon inherits it: as long as it
 * starts or lives, no other target starts one. Returns -1 while somebody has the name. */
static int claim_start(void)
{
	static const char suffix[] = ".start";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strnlen(live_settings.socket, sizeof address.sun_path - sizeof suffix);
	char *end = mempcpy(address.sun_path + 1, live_settings.socket, length);
	end = mempcpy(end, suffix, sizeof suffix - 1);
	int claim = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (claim >= 0 && bind(claim, (struct sockaddr *)&address, (socklen_t)(end - (char *)&address)) != 0) {
		close(claim);
		return -1;
	}
	return claim;
}

/* The exit signal is 0: neither SIGCHLD nor wait(2) shows the program a child that it did not make (clone(2)). */
enum live_start live_channel_start_daemon(bool even_if_claimed)
{
	static _Alignas(16) char stack[16384];
	if (access(live_settings.daemon, X_OK) != 0)
		return LIVE_START_IMPOSSIBLE;
	int claim = claim_start();
	if (claim < 0 && !even_if_claimed)
		return LIVE_START_CLAIMED;
	int child = clone(become_daemon, stack + sizeof stack, CLONE_VM | CLONE_VFORK, NULL);
	if (claim >= 0)
		close(claim);
	if (child < 0)
		return LIVE_START_IMPOSSIBLE;
	while (waitpid(child, NULL, __WCLONE) < 0 && errno == EINTR)
		;
	return LIVE_STARTED;
}

bool live_channel_receive(int channel, struct live_message *message, int *sheet)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec data = {message, sizeof *message};
	struct msghdr header = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t size;
	*sheet = -1;
	while ((size = recvmsg(channel, &header, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	struct cmsghdr *passed = size > 0 ? CMSG_FIRSTHDR(&header) : NULL;
	if (passed && passed->cmsg_type == SCM_RIGHTS)
		memcpy(sheet, CMSG_DATA(passed), sizeof *sheet);
	size_t head = offsetof(struct live_message, text);
	if (size < (ssize_t)head || message->text_size != (size_t)size - head) {
		if (*sheet >= 0)
			close(*sheet);
		return false;
	}
	return true;
}

bool live_channel_send(int channel, const struct live_message *message)
{
	size_t size = offsetof(struct live_message, text) + message->text_size;
	ssize_t sent;
	while ((sent = send(channel, message, size, MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	return sent == (ssize_t)size;
}
