// Stands at a place that its argument names, after it has said that it is ready.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static volatile unsigned long turns;
static char *libc_start, *libc_end;
static char many[1 << 16];

#ifdef OWN_MALLOC
extern void *__libc_malloc(size_t size);
void *malloc(size_t size)
{
	return __libc_malloc(size);
}
#endif

#ifdef LAZY
extern int chosen(void);
#endif

static void ready(void)
{
	if (write(1, "ready\n", 6) != 6)
		_exit(1);
}

__attribute__((noinline)) static void stand(void)
{
	ready();
	for (;;)
		pause();
}

__attribute__((noinline)) static void spin(void)
{
	ready();
	for (;;)
		turns++;
}

static int compare(const void *a, const void *b)
{
	stand();
	return a < b;
}

static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)info, (void)size, (void)data;
	stand();
	return 0;
}

static ssize_t on_read(void *cookie, char *buffer, size_t size)
{
	(void)cookie, (void)buffer, (void)size;
	stand();
	return 0;
}

static void on_signal(int number)
{
	(void)number;
	stand();
}

static const sigset_t *with_pending_signal(void)
{
	static sigset_t blocked;
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGUSR1, on_signal);
	kill(getpid(), SIGUSR1);
	return &blocked;
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size, (void)data;
	for (int i = 0; strstr(info->dlpi_name, "libc.so.6") && i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
			libc_start = (char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			libc_end = libc_start + info->dlpi_phdr[i].p_memsz;
		}
	return 0;
}

static void on_signal_in_libc(int number, siginfo_t *info, void *context)
{
	char *pc = (char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	(void)number, (void)info;
	if (pc >= libc_start && pc < libc_end)
		stand();
}

static void interrupt(void (*act)(int, siginfo_t *, void *))
{
	struct itimerval often = {{0, 997}, {0, 997}};
	struct sigaction action = {.sa_sigaction = act, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void *run(void *unused)
{
	stand();
	return unused;
}

static void *run_and_end(void *key)
{
	pthread_setspecific(*(pthread_key_t *)key, key);
	return NULL;
}

static void on_end(void *unused)
{
	(void)unused;
	stand();
}

static void on_context(void)
{
	stand();
}

int main(int count, char **arguments)
{
	const char *place = count > 1 ? arguments[1] : "";
	pthread_t thread;
	pthread_key_t key;
	sem_t semaphore;
	struct epoll_event event;
	struct pollfd nothing = {.fd = -1};
	sigset_t set;
	ucontext_t here, there;
	cookie_io_functions_t functions = {.read = on_read};
	char numbers[2] = {2, 1};

	sem_init(&semaphore, 0, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
#define AT(name) if (strcmp(place, name) == 0)
	AT("epoll_wait")
	for (ready(), count = epoll_create1(0);;)
		epoll_wait(count, &event, 1, -1); /* a stop ends it (ptrace(2)) */
	AT("poll") ready(), poll(&nothing, 1, -1);
	AT("ppoll") ready(), ppoll(&nothing, 1, NULL, &set);
	AT("select") ready(), select(0, NULL, NULL, NULL, NULL);
	AT("read") if (ready(), read(0, numbers, 1)) return 0;
	AT("sleep") ready(), sleep(1000);
	AT("sigwait") ready(), sigprocmask(SIG_BLOCK, &set, NULL), sigwait(&set, &count);
	AT("waitpid") waitpid(fork() ? ready(), -1 : pause(), NULL, 0);
	AT("syscall") ready(), syscall(SYS_poll, &nothing, 1, -1);
	AT("pthread_cond_wait") pthread_mutex_lock(&mutex), ready(), pthread_cond_wait(&condition, &mutex);
	AT("pthread_mutex_lock") pthread_mutex_lock(&mutex), ready(), pthread_mutex_lock(&mutex);
	AT("sem_wait") ready(), sem_wait(&semaphore);
	AT("pthread_join") pthread_create(&thread, NULL, run, NULL), pthread_join(thread, NULL);
	AT("spin") spin();
	AT("stdio") if (ready(), getchar() == 'x') return 0;
	AT("qsort") qsort(numbers, 2, 1, compare);
	AT("dl_iterate_phdr") dl_iterate_phdr(on_object, NULL);
	AT("fopencookie") fgetc(fopencookie(NULL, "r", functions));
	AT("pthread_once")
	{
		static pthread_once_t once = PTHREAD_ONCE_INIT;
		pthread_once(&once, stand);
	}
	AT("fork") pthread_atfork(stand, NULL, NULL), fork();
	AT("exit") atexit(stand), exit(0);
	AT("return")
	{
		atexit(stand);
		return 0;
	}
	AT("constructor") dlopen(arguments[2], RTLD_NOW);
	AT("library")((void (*)(void))dlsym(dlopen(arguments[2], RTLD_NOW), "stand"))();
	AT("key")
	pthread_key_create(&key, on_end), pthread_create(&thread, NULL, run_and_end, &key), pthread_join(thread, NULL);
	AT("makecontext")
	{
		getcontext(&there);
		there.uc_stack.ss_sp = many;
		there.uc_stack.ss_size = sizeof(many);
		makecontext(&there, on_context, 0);
		swapcontext(&here, &there);
	}
	AT("handler") signal(SIGUSR1, on_signal), spin();
	AT("handler-in-poll") signal(SIGUSR1, on_signal), ready(), poll(&nothing, 1, -1);
	AT("handler-on-other-stack")
	{
		stack_t stack = {.ss_sp = many, .ss_size = sizeof(many)};
		struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
		sigaltstack(&stack, NULL);
		sigaction(SIGUSR1, &action, NULL);
		spin();
	}
	AT("handler-in-kill") signal(SIGUSR1, on_signal), kill(getpid(), SIGUSR1);
	AT("handler-in-sigprocmask") sigprocmask(SIG_UNBLOCK, with_pending_signal(), NULL);
	AT("handler-in-pthread_sigmask") pthread_sigmask(SIG_UNBLOCK, with_pending_signal(), NULL);
	AT("handler-in-malloc")
	{
		dl_iterate_phdr(find_libc, NULL);
		interrupt(on_signal_in_libc);
		for (;;)
			free(malloc(1 + turns++ % 3000));
	}
#ifdef LAZY
	AT("lazy") return chosen();
#endif
	return 1;
}
