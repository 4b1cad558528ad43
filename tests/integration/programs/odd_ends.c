/* Ends in the odd way that argument 1 names. What it has written and its exit status are to be the same whatever else
 * is in the process. */
#define _GNU_SOURCE
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
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 200, EXECUTIONS = 60, THREADS = 3000, CHUNKS = 2000 };

static pthread_t first;

static void say_at_exit(void)
{
	printf("atexit of %s thread\n", pthread_self() == first ? "the first" : "another");
}

static void *end_after_the_first(void *unused)
{
	pthread_join(first, NULL);
	printf("another thread\n");
	return unused;
}

static void *end_raw_after_the_first(void *unused)
{
	pthread_join(first, NULL);
	syscall(SYS_exit, 4L);
	return unused;
}

static void start(void *(*run)(void *))
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		abort();
}

static void first_ends_alone(void)
{
	atexit(say_at_exit);
	printf("buffered\n");
	pthread_exit(NULL);
}

static void first_ends_before_others(void)
{
	atexit(say_at_exit);
	printf("buffered\n");
	start(end_after_the_first);
	pthread_exit(NULL);
}

static void child_ends_by_pthread_exit(void)
{
	int status = 0;
	fflush(stdout);
	if (fork() == 0)
		first_ends_alone();
	wait(&status);
	printf("status %x\n", (unsigned)status);
}

static void raw_exit(void)
{
	printf("not seen\n");
	syscall(SYS_exit, 3L);
}

/* The kernel takes the status of the last thread; an older one that of the first. */
static void raw_exits(void)
{
	start(end_raw_after_the_first);
	syscall(SYS_exit, 3L);
}

static void killed(void)
{
	kill(getpid(), SIGKILL);
	pause();
}

static void strictly_killed(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	syscall(SYS_write, 1, "strict\n", 7L);
	syscall(SYS_getppid);
}

static void strictly_exits(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	syscall(SYS_exit, 5L);
}

static void filter(unsigned flags, unsigned otherwise)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, otherwise),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof lines / sizeof *lines, lines};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (long)flags, &program) != 0)
		abort();
}

static void filter_kills_the_thread(void)
{
	filter(0, SECCOMP_RET_KILL_THREAD);
	syscall(SYS_getppid);
}

static void filter_kills_the_process(void)
{
	filter(SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_RET_KILL_PROCESS);
	syscall(SYS_getppid);
}

static void filter_for_all_threads(void)
{
	filter(SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_RET_KILL_PROCESS);
	syscall(SYS_write, 1L, "filtered\n", 9L);
	syscall(SYS_exit_group, 7L);
}

static void new_user_namespace(void)
{
	printf("unshare: %s\n", unshare(CLONE_NEWUSER) == 0 ? "done" : "failed");
}

static volatile int forks;

static void fork_in_handler(int number)
{
	(void)number;
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	forks++;
}

/* The handler interrupts malloc and printf, which hold their locks, if they take any. */
static void forks_in_signal_handlers(void)
{
	const struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
	FILE *nothing = fopen("/dev/null", "w");
	signal(SIGALRM, fork_in_handler);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned size = 1; forks < FORKS; size = size * 7 % 9973) {
		free(malloc(size));
		fprintf(nothing, "%u\n", size);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	printf("forked\n");
}

static void vforks_and_executions(void)
{
	static int good, i, status;
	for (; i < EXECUTIONS; i++) {
		pid_t child = vfork();
		if (child == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(1);
		}
		good += waitpid(child, &status, 0) == child && status == 0;
	}
	printf("executed %d\n", good);
}

static void *allocate(void *number)
{
	memset(malloc(CHUNKS), 1, (size_t)number % CHUNKS);
	return number;
}

static void threads_by_the_thousand(void)
{
	size_t sum = 0;
	for (size_t i = 0; i < THREADS; i++) {
		pthread_t thread;
		void *result;
		if (pthread_create(&thread, NULL, allocate, (void *)i) != 0 || pthread_join(thread, &result) != 0)
			abort();
		sum += (size_t)result;
	}
	printf("sum %zu, single-threaded %d\n", sum, __libc_single_threaded);
}

static void single_threaded(void)
{
	printf("single-threaded %d\n", __libc_single_threaded);
}

static const struct {
	const char *name;
	void (*end)(void);
} ends[] = {
	{"first_ends_alone", first_ends_alone},
	{"first_ends_before_others", first_ends_before_others},
	{"child_ends_by_pthread_exit", child_ends_by_pthread_exit},
	{"raw_exit", raw_exit},
	{"raw_exits", raw_exits},
	{"killed", killed},
	{"strictly_killed", strictly_killed},
	{"strictly_exits", strictly_exits},
	{"filter_kills_the_thread", filter_kills_the_thread},
	{"filter_kills_the_process", filter_kills_the_process},
	{"filter_for_all_threads", filter_for_all_threads},
	{"new_user_namespace", new_user_namespace},
	{"forks_in_signal_handlers", forks_in_signal_handlers},
	{"vforks_and_executions", vforks_and_executions},
	{"threads_by_the_thousand", threads_by_the_thousand},
	{"single_threaded", single_threaded},
};

int main(int count, char **arguments)
{
	char line[9];
	first = pthread_self();
	if (count > 2 && !fgets(line, sizeof line, stdin)) /* until who waits for the daemon says so */
		return 1;
	for (size_t i = 0; count > 1 && i < sizeof ends / sizeof *ends; i++)
		if (strcmp(arguments[1], ends[i].name) == 0)
			ends[i].end();
	return 0;
}
