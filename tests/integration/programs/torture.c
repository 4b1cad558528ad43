/* Eight threads that keep exact accounts of all that they do, in a library that changes all the while: locks,
 * conditions, semaphores, signals, timers and children. What is not as it must be is a line that begins with "bad". */
#define _GNU_SOURCE
#include "torture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, REST_AFTER = 64, OF_CHILDREN = 15, MARK = 77, MOST_CHILDREN = 3, MOST_ON_THE_WAY = 64 };
static const long TICK = 5000000; /* ns */

static atomic_bool ends, all_are_sent;
static atomic_long progress[THREADS], longest, sent, handled, ticks;
static atomic_long by_hand; /* what was added in the library's sum */
static pthread_t threads[THREADS];
static _Thread_local volatile long interruptions;

__attribute__((format(printf, 1, 2))) static void bad(const char *format, ...)
{
	char text[200];
	va_list values;
	va_start(values, format);
	vsnprintf(text, sizeof text, format, values);
	va_end(values);
	printf("bad: %s\n", text);
}

static long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000 + time.tv_nsec;
}

/* All but the first thread leave time to others. */
static void rest(int number)
{
	if (++progress[number] % REST_AFTER == 0 && number)
		usleep(200);
}

static void on_signal(int number, siginfo_t *info, void *unused)
{
	int before = errno;
	(void)unused;
	if (number == SIGRTMIN) {
		ticks += 1 + info->si_overrun;
	} else {
		note(info->si_value.sival_int);
		handled++;
	}
	interruptions++;
	errno = before;
}

static void *add_up(void *number)
{
	int own = (int)(long)number;
	long done = 0, before = now();
	while (!ends) {
		errno = MARK;
		add(own, 3);
		add(own, -2);
		if (balance(own) != ++done)
			bad("account %d has %ld instead of %ld", own, balance(own), done);
		if (errno != MARK)
			bad("errno becomes %d", errno);
		long after = now();
		if (after - before > longest)
			longest = after - before;
		before = after;
		rest(own);
	}
	return NULL;
}

static void *produce(void *number)
{
	for (long item = 1; !ends; item++) {
		put(item);
		rest((int)(long)number);
	}
	put(0);
	return NULL;
}

static void *consume(void *number)
{
	for (long expected = 1, item; (item = take()); expected++) {
		if (item != expected)
			bad("item %ld comes instead of %ld", item, expected);
		rest((int)(long)number);
	}
	return NULL;
}

static void *alternate(void *number)
{
	int side = (int)(long)number & 1;
	for (long turn = side + 1; !ends; turn += 2) {
		long found = take_turn(side);
		if (found != turn && !ends)
			bad("turn %ld instead of %ld (%s)", found, turn, strerror(errno));
		rest((int)(long)number);
	}
	end_turns(!side);
	return NULL;
}

/* Waits may end early only where a handler has run in this thread. */
static void *be_interrupted(void *number)
{
	int events = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event;
	struct timespec time = {0, 3000000};
	for (int turn = 0; !all_are_sent; turn++) {
		long before = interruptions;
		int result = turn % 2 ? epoll_wait(events, &event, 1, 3) : nanosleep(&time, NULL);
		if (result == -1 && errno != EINTR)
			bad("a wait fails: %s", strerror(errno));
		if (result == -1 && interruptions == before)
			bad("%s was interrupted by nothing", turn % 2 ? "epoll_wait" : "nanosleep");
		rest((int)(long)number);
	}
	close(events);
	return NULL;
}

static int wait_somehow(int turn, int events)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
	struct epoll_event event;
	struct timespec time = {0, 2000000}, until;
	struct timeval short_time = {0, 2000};
	sigset_t all;
	sem_t semaphore;
	int result;
	sigfillset(&all);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 2000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	switch (turn) {
	case 0:
		return epoll_wait(events, &event, 1, 2);
	case 1:
		return epoll_pwait(events, &event, 1, 2, &all);
	case 2:
		return poll(NULL, 0, 2);
	case 3:
		return ppoll(NULL, 0, &time, &all);
	case 4:
		return select(0, NULL, NULL, NULL, &short_time);
	case 5:
		return nanosleep(&time, NULL);
	case 6:
		errno = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
		return errno ? -1 : 0;
	case 7:
		sem_init(&semaphore, 0, 0);
		result = sem_timedwait(&semaphore, &until);
		return result == -1 && errno == ETIMEDOUT ? 0 : -1;
	case 8:
		pthread_mutex_lock(&lock);
		errno = pthread_cond_timedwait(&never, &lock, &until);
		pthread_mutex_unlock(&lock);
		return errno == ETIMEDOUT ? 0 : -1;
	default:
		sigemptyset(&all);
		sigaddset(&all, SIGUSR2);
		return sigtimedwait(&all, NULL, &time) == -1 && errno == EAGAIN ? 0 : -1;
	}
}

/* Sends signals, and itself waits in all ways with all signals blocked: nothing may interrupt it. */
static void *send_and_wait(void *number)
{
	int events = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct itimerspec each = {{0, TICK}, {0, TICK}};
	long begin = now(), expired = 0;
	timerfd_settime(timer, 0, &each, NULL);
	for (int turn = 0; !ends; turn++) {
		if (wait_somehow(turn % 10, events) != 0)
			bad("wait %d ends by %s", turn % 10, strerror(errno));
		uint64_t found = 0;
		if (read(timer, &found, sizeof found) != sizeof found)
			bad("a timer says %s", strerror(errno));
		expired += (long)found;
		if (sent - handled < MOST_ON_THE_WAY) {
			union sigval value = {.sival_int = turn % 1000};
			by_hand += 2L * value.sival_int;
			sent += 2;
			if (pthread_sigqueue(threads[6], SIGRTMIN + 1, value) ||
			    sigqueue(getpid(), SIGRTMIN + 2, value))
				bad("a signal cannot be sent");
		}
		rest((int)(long)number);
	}
	all_are_sent = true;
	long expected = (now() - begin) / TICK;
	if (expired > expected || expired < expected - 1)
		bad("a timer expires %ld times instead of %ld", expired, expected);
	close(events);
	close(timer);
	return NULL;
}

/* Also a child is updated: its exit status is how often. */
static _Noreturn void live_as_child(void)
{
	long before = balance(OF_CHILDREN), done = 0, end = now() + 1500000000;
	int last = version(), changes = 0;
	while (now() < end && changes < 3) {
		errno = MARK;
		add(OF_CHILDREN, 1);
		done++;
		changes += version() != last;
		last = version();
		if (errno != MARK)
			_exit(101);
		usleep(500);
	}
	_exit(balance(OF_CHILDREN) - before == done ? changes : 100);
}

static int children, made, killed, updated;

static void look_after_children(bool at_the_end)
{
	int status;
	pid_t pid;
	while (children && (pid = waitpid(-1, &status, at_the_end ? 0 : WNOHANG)) != 0) {
		if (pid == -1)
			bad("waiting for a child: %s", strerror(errno));
		children--;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			killed++;
		else if (!WIFEXITED(status) || WEXITSTATUS(status) > 3)
			bad("a child ends with %#x", status);
		else
			updated += WEXITSTATUS(status) > 0;
	}
	if (children < MOST_CHILDREN && !at_the_end) {
		pid = fork();
		if (pid == 0)
			live_as_child();
		if (pid == -1)
			bad("fork: %s", strerror(errno));
		children++;
		made++;
	}
}

static void report(void)
{
	printf("version %d children %d killed %d updated %d longest %.1f signals %ld progress", version(), made, killed,
	       updated, (double)atomic_exchange(&longest, 0) / 1e6, handled);
	for (int i = 0; i < THREADS; i++)
		printf(" %ld", progress[i]);
	puts("");
}

int main(void)
{
	void *(*work[THREADS])(void *) = {add_up,    add_up,	produce,	consume,
					  alternate, alternate, be_interrupted, send_and_wait};
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigset_t all, none, but_own; /* one for the whole process may interrupt a wait, and run its handler elsewhere */
	sigfillset(&all);
	sigfillset(&but_own);
	sigdelset(&but_own, SIGRTMIN + 1);
	sigemptyset(&none);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int number = SIGRTMIN; number <= SIGRTMIN + 2; number++)
		sigaction(number, &action, NULL);
	for (long i = 0; i < THREADS; i++) { /* semaphores are waited for without signals: sem_wait(3) may end by one */
		pthread_sigmask(SIG_SETMASK, i < 4 ? &none : i == 6 ? &but_own : &all, NULL);
		pthread_create(&threads[i], NULL, work[i], (void *)i);
	}
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	struct itimerspec each = {{0, TICK}, {0, TICK}}, off = {{0, 0}, {0, 0}};
	timer_t timer;
	long begin = now();
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &each, NULL);
	struct pollfd input = {.fd = 0, .events = POLLIN};
	int found;
	while ((found = poll(&input, 1, 50)) == 0) {
		look_after_children(false);
		report();
	}
	if (found < 0)
		bad("poll: %s", strerror(errno));
	look_after_children(true);
	for (long expected = (now() - begin) / TICK; ticks < expected;)
		usleep(1000);
	timer_settime(timer, 0, &off, NULL);
	if (ticks > (now() - begin) / TICK)
		bad("a timer's signal has come %ld times in %ld ns", ticks, now() - begin);
	ends = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	if (progress[2] != progress[3])
		bad("%ld items were put, and %ld taken", progress[2], progress[3]);
	pthread_sigmask(SIG_SETMASK, &none, NULL); /* what is still on its way comes here */
	if (handled != sent || noted() != by_hand)
		bad("%ld signals of %ld, sum %ld instead of %ld", handled, sent, noted(), by_hand);
	report();
	puts("all is counted");
	return 0;
}
