/* Holds on to everything that a visit could change, and says so where something is not as it was. Threads: argument 1
 * waits, argument 2 computes. Each round prints the version of the library. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/single_threaded.h>
#include <time.h>
#include <unistd.h>

int version(void);

static volatile sig_atomic_t alarms;

static void bad(const char *what)
{
	printf("bad: %s\n", what);
}

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

#ifdef __aarch64__
static void keep_scalable_registers(uint64_t seed, uint64_t rounds)
{
	uint64_t vectors, predicates;
	__asm__ volatile(".arch_extension sve\n"
			 "index z20.d, %[seed], #3\n"
			 "ptrue p5.b, vl3\n"
			 "mov x10, %[rounds]\n"
			 "1: subs x10, x10, #1\n"
			 "b.ne 1b\n"
			 "ptrue p7.b\n"
			 "index z21.d, %[seed], #3\n"
			 "cmpne p6.d, p7/z, z20.d, z21.d\n"
			 "cntp %[vectors], p7, p6.d\n"
			 "ptrue p4.b, vl3\n"
			 "eor p4.b, p7/z, p5.b, p4.b\n"
			 "cntp %[predicates], p7, p4.b\n"
			 : [vectors] "=&r"(vectors), [predicates] "=&r"(predicates)
			 : [seed] "r"(seed), [rounds] "r"(rounds)
			 : "x10", "v20", "v21", "cc", "memory");
	if (vectors != 0)
		bad("scalable vector registers");
	if (predicates != 0)
		bad("predicate registers");
}
#endif

#ifdef __riscv
static void keep_vector_registers(uint64_t seed, uint64_t rounds)
{
	uint64_t different, before, after;
	__asm__ volatile(".option push\n"
			 ".option arch, +v\n"
			 "vsetvli %[before], zero, e64, m1, ta, ma\n"
			 "vid.v v21\n"
			 "vadd.vx v20, v21, %[seed]\n"
			 "mv t4, %[rounds]\n"
			 "1: addi t4, t4, -1\n"
			 "bnez t4, 1b\n"
			 "csrr %[after], vl\n"
			 "vid.v v21\n"
			 "vadd.vx v22, v21, %[seed]\n"
			 "vmsne.vv v23, v20, v22\n"
			 "vcpop.m %[different], v23\n"
			 ".option pop\n"
			 : [different] "=&r"(different), [before] "=&r"(before), [after] "=&r"(after)
			 : [seed] "r"(seed), [rounds] "r"(rounds)
			 : "t4", "memory");
	if (different != 0 || before != after)
		bad("registers of the vector extension");
}
#endif

/* Fill the registers, wait, and look whether they are what they were; on x86-64 also what lies below the stack pointer.
 */
static void keep_registers(uint64_t seed, uint64_t rounds)
{
	uint64_t pattern[8], found[8], general = 0;
	for (int i = 0; i < 8; i++)
		pattern[i] = seed * 0x9E3779B97F4A7C15u + (uint64_t)i;
#ifdef __x86_64__
	uint64_t below = 0;
	__asm__ volatile("vmovdqu (%[from]), %%ymm6\n"
			 "vmovdqu 32(%[from]), %%ymm15\n"
			 "mov %[seed], %%r8\n"
			 "mov %[seed], %%r13\n"
			 "mov %[seed], -64(%%rsp)\n"
			 "mov %[rounds], %%rcx\n"
			 "1: dec %%rcx\n"
			 "jnz 1b\n"
			 "mov -64(%%rsp), %[below]\n"
			 "sub %%r13, %%r8\n"
			 "mov %%r8, %[general]\n"
			 "vmovdqu %%ymm6, (%[to])\n"
			 "vmovdqu %%ymm15, 32(%[to])\n"
			 "vzeroupper\n"
			 : [general] "=&r"(general), [below] "=&r"(below)
			 : [from] "r"(pattern), [to] "r"(found), [seed] "r"(seed), [rounds] "r"(rounds)
			 : "rcx", "r8", "r13", "xmm6", "xmm15", "memory");
	if (below != seed)
		bad("memory below the stack pointer");
#elif defined __aarch64__
	__asm__ volatile("ldp q6, q15, [%[from]]\n"
			 "ldp q16, q31, [%[from], #32]\n"
			 "mov x9, %[seed]\n"
			 "mov x21, %[seed]\n"
			 "mov x10, %[rounds]\n"
			 "1: subs x10, x10, #1\n"
			 "b.ne 1b\n"
			 "sub %[general], x21, x9\n"
			 "stp q6, q15, [%[to]]\n"
			 "stp q16, q31, [%[to], #32]\n"
			 : [general] "=&r"(general)
			 : [from] "r"(pattern), [to] "r"(found), [seed] "r"(seed), [rounds] "r"(rounds)
			 : "x9", "x10", "x21", "v6", "v15", "v16", "v31", "cc", "memory");
	if (getauxval(AT_HWCAP) & HWCAP_SVE)
		keep_scalable_registers(seed, rounds);
#elif defined __riscv
	__asm__ volatile("fld ft0, 0(%[from])\n"
			 "fld fa0, 8(%[from])\n"
			 "fld fs0, 16(%[from])\n"
			 "fld fs1, 24(%[from])\n"
			 "fld fa7, 32(%[from])\n"
			 "fld fs11, 40(%[from])\n"
			 "fld ft8, 48(%[from])\n"
			 "fld ft11, 56(%[from])\n"
			 "mv t3, %[seed]\n"
			 "mv s3, %[seed]\n"
			 "mv t4, %[rounds]\n"
			 "1: addi t4, t4, -1\n"
			 "bnez t4, 1b\n"
			 "sub %[general], s3, t3\n"
			 "fsd ft0, 0(%[to])\n"
			 "fsd fa0, 8(%[to])\n"
			 "fsd fs0, 16(%[to])\n"
			 "fsd fs1, 24(%[to])\n"
			 "fsd fa7, 32(%[to])\n"
			 "fsd fs11, 40(%[to])\n"
			 "fsd ft8, 48(%[to])\n"
			 "fsd ft11, 56(%[to])\n"
			 : [general] "=&r"(general)
			 : [from] "r"(pattern), [to] "r"(found), [seed] "r"(seed), [rounds] "r"(rounds)
			 : "t3", "t4", "s3", "ft0", "fa0", "fs0", "fs1", "fa7", "fs11", "ft8", "ft11", "memory");
	if (getauxval(AT_HWCAP) & 1 << ('V' - 'A'))
		keep_vector_registers(seed, rounds);
#endif
	if (memcmp(pattern, found, sizeof pattern) != 0)
		bad("vector registers");
	if (general != 0)
		bad("registers");
}

static void *compute(void *unused)
{
	for (uint64_t seed = 1;; seed++) {
		errno = 77;
		keep_registers(seed, 20000);
		if (errno != 77)
			bad("errno");
		version();
	}
	return unused;
}

static void wait_in_turn(int turn, int events, int pipe_end)
{
	struct epoll_event event;
	struct pollfd poll_of = {.fd = pipe_end, .events = POLLIN};
	struct timespec time = {0, 20000000};
	const char *names[] = {"nanosleep", "epoll_wait", "poll", "ppoll"};
	double before = now();
	int result = -1;
	sigset_t usual, inside;
	sigfillset(&inside);
	pthread_sigmask(SIG_BLOCK, NULL, &usual);
	switch (turn) {
	case 0:
		result = nanosleep(&time, NULL);
		break;
	case 1:
		result = epoll_wait(events, &event, 1, 20);
		break;
	case 2:
		result = poll(&poll_of, 1, 20);
		break;
	case 3:
		result = ppoll(&poll_of, 1, &time, &inside);
		break;
	}
	sigset_t later;
	pthread_sigmask(SIG_BLOCK, NULL, &later);
	if (memcmp(&usual, &later, NSIG / 8) != 0)
		bad("the signals that are blocked");
	if (result != 0) {
		printf("bad: %s returns %d (%s)\n", names[turn], result, strerror(errno));
	} else if (now() - before < 0.0199)
		printf("bad: %s is too short\n", names[turn]);
}

static void *wait_for_ever(void *unused)
{
	int events = epoll_create1(EPOLL_CLOEXEC), ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		abort();
	for (unsigned turn = 0;; turn++)
		wait_in_turn((int)(turn % 4), events, ends[0]);
	return unused;
}

int main(int count, char **arguments)
{
	int waiting = count > 1 ? atoi(arguments[1]) : 0, computing = count > 2 ? atoi(arguments[2]) : 0;
	pthread_t thread;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigset_t alarm_only;
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
	for (int i = 0; i < waiting; i++)
		pthread_create(&thread, NULL, wait_for_ever, NULL);
	for (int i = 0; i < computing; i++)
		pthread_create(&thread, NULL, compute, NULL);
	pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
	signal(SIGALRM, on_alarm);
	int events = epoll_create1(EPOLL_CLOEXEC), ends[2], single = __libc_single_threaded;
	if (pipe2(ends, O_CLOEXEC) != 0)
		abort();
	for (int turn = 0;; turn = (turn + 1) % 4) {
		int before = alarms;
		raise(SIGALRM);
		if (alarms != before + 1)
			bad("a signal's handler");
		wait_in_turn(turn, events, ends[0]);
		if (__libc_single_threaded != single)
			bad("__libc_single_threaded");
		printf("version %d\n", version());
	}
}
