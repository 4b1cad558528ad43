/* A library with variables of all sizes. MODEL: a program of all versions in one, which says what each must show. */
#include <stdio.h>
#ifdef MODEL
#define VERSION now
#define LAST 3
static int now;
#else
#define LAST VERSION
#endif

#define EACH(use)                                                                                                      \
	use(unsigned char, c, 3) use(unsigned short, s, 300) use(int, i, 70000) use(long, l, 1L << 40)                 \
		use(float, f, 0.5f) use(double, d, 0.25) use(signed char, b, -3) use(short, h, -300)
#define DECLARE(type, name, value) static type name##_old = (value);
#define CHANGE(type, name, value) name##_old += (type)1;
#define ADD(type, name, value) sum += (double)name##_old;
EACH(DECLARE)
#if LAST > 1
#define DECLARE_NEW(type, name, value) static type name##_new = (value);
#define CHANGE_NEW(type, name, value) name##_new += (type)2;
#define ADD_NEW(type, name, value) sum += (double)name##_new;
EACH(DECLARE_NEW)
static struct {
	long one, other;
	double real, rest;
} pair = {1, 2, 0.5, 0.125};
static int row[6] = {1, 2, 3, 4, 5, 6};
static __int128 wide = 7;
static float vector[8] __attribute__((aligned(16))) = {1, 2, 3, 4, 5, 6, 7, 8};
#endif
#if LAST > 2
#define DECLARE_LATER(type, name, value) static type name##_later = (value);
#define CHANGE_LATER(type, name, value) name##_later += (type)3;
#define ADD_LATER(type, name, value) sum += (double)name##_later;
EACH(DECLARE_LATER)
#endif

void change_and_show(int at)
{
	double sum = 0;
	EACH(CHANGE)
	(void)at;
#if LAST > 1
	if (VERSION > 1) {
		EACH(CHANGE_NEW)
		pair.one += pair.other, pair.other += 1, pair.real += pair.rest;
		row[at % 6] += row[(at + 1) % 6];
		wide = wide * 3 % 1000003;
		for (int i = 0; i < 8; i++)
			vector[i] += 1;
		__builtin_prefetch(&row[2]);
	}
#endif
#if LAST > 2
	if (VERSION > 2) {
		EACH(CHANGE_LATER)
	}
#endif
	EACH(ADD)
#if LAST > 1
	if (VERSION > 1) {
		EACH(ADD_NEW)
		sum += (double)pair.one + (double)pair.other + pair.real + (double)wide;
		for (int i = 0; i < 6; i++)
			sum += row[i];
		for (int i = 0; i < 8; i++)
			sum += vector[i];
	}
#endif
#if LAST > 2
	if (VERSION > 2) {
		EACH(ADD_LATER)
	}
#endif
	printf("version %d: %.3f\n", VERSION, sum);
	fflush(stdout);
}

#ifdef MODEL
int main(void)
{
	for (int at = 0; scanf("%d", &now) == 1; at++)
		change_and_show(at);
	return 0;
}
#endif
