/* Becomes odd in the way that argument 1 names, and prints the version of the library from then on: one line for each
 * that it reads, or all the time. */
#define _GNU_SOURCE
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, PAUSE = 10000 /* microseconds */ };

int version(void);

static void say(void)
{
	char line[] = "version 0\n";
	line[8] = (char)('0' + version());
	if (syscall(SYS_write, 1L, line, sizeof line - 1) != sizeof line - 1)
		_exit(1);
}

static void filter(unsigned flags)
{
	static const long allowed[] = {SYS_read, SYS_write, SYS_exit_group, SYS_rt_sigreturn};
	enum { COUNT = sizeof allowed / sizeof *allowed };
	struct sock_filter lines[COUNT + 3] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	for (unsigned i = 0; i < COUNT; i++)
		lines[1 + i] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], COUNT - i, 0);
	lines[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	lines[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {COUNT + 3, lines};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (long)flags, &program) != 0)
		abort();
}

static void filtered(void)
{
	filter(0);
}

static void filtered_in_all_threads(void)
{
	filter(SECCOMP_FILTER_FLAG_TSYNC);
}

static void strict(void)
{
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
		abort();
}

static void in_a_user_namespace(void)
{
	unshare(CLONE_NEWUSER); /* fails where there are two threads */
}

static void another_user(void)
{
	if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
		abort();
}

/* Of this thread alone. */
static void another_user_alone(void)
{
	if (syscall(SYS_setresuid, (long)NOBODY, (long)NOBODY, (long)NOBODY) != 0)
		abort();
}

/* As libcap does, of this thread alone. */
static void without_capabilities(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0}};
	if (syscall(SYS_capset, &head, none) != 0)
		abort();
}

static void not_to_be_dumped(void)
{
	if (prctl(PR_SET_DUMPABLE, 0) != 0)
		abort();
}

static void usual(void)
{
}

static void all_the_time(void (*act)(void))
{
	for (;; usleep(PAUSE)) {
		say();
		act();
	}
}

static void fork_in_handler(int number)
{
	(void)number;
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
}

static void allocate(void)
{
	for (unsigned size = 1, i = 0; i < 1000; i++, size = size * 7 % 9973)
		free(malloc(size));
}

static void forks_in_signal_handlers(void)
{
	const struct itimerval often = {{0, PAUSE / 2}, {0, PAUSE / 2}};
	struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	all_the_time(allocate);
}

static void execute(void)
{
	pid_t child = vfork();
	if (child == 0) {
		execle("/bin/true", "true", (char *)NULL, (char *[]){NULL});
		_exit(1);
	}
	waitpid(child, NULL, 0);
}

static void vforks_and_executions(void)
{
	all_the_time(execute);
}

static void *end(void *unused)
{
	return unused;
}

static void make_threads(void)
{
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, end, NULL) != 0 || pthread_join(thread, NULL) != 0)
			abort();
	}
}

static void threads_come_and_go(void)
{
	all_the_time(make_threads);
}

static void *say_until_the_end(void *unused)
{
	char line[9];
	while (read(0, line, 1) == 1)
		say();
	exit(0);
	return unused;
}

static void first_thread_has_ended(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, say_until_the_end, NULL) != 0)
		abort();
	pthread_exit(NULL);
}

static const struct {
	const char *name;
	void (*become)(void);
} oddities[] = {
	{"filtered", filtered},
	{"filtered_in_all_threads", filtered_in_all_threads},
	{"strict", strict},
	{"in_a_user_namespace", in_a_user_namespace},
	{"another_user", another_user},
	{"another_user_alone", another_user_alone},
	{"without_capabilities", without_capabilities},
	{"not_to_be_dumped", not_to_be_dumped},
	{"usual", usual},
	{"forks_in_signal_handlers", forks_in_signal_handlers},
	{"vforks_and_executions", vforks_and_executions},
	{"threads_come_and_go", threads_come_and_go},
	{"first_thread_has_ended", first_thread_has_ended},
};

int main(int count, char **arguments)
{
	char line[9];
	say();
	if (read(0, line, 1) != 1)
		return 1;
	for (size_t i = 0; count > 1 && i < sizeof oddities / sizeof *oddities; i++)
		if (strcmp(arguments[1], oddities[i].name) == 0)
			oddities[i].become();
	do
		say();
	while (read(0, line, 1) == 1);
	_exit(0);
}
