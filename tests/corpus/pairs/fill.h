/* What the pairs have in common: functions that never change, so that there is code to compare. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define API __attribute__((visibility("default"), noinline))
API int fill_a(const char *s)
{
	int n = 0;
	while (*s) {
		if (*s == 'a')
			n += 3;
		else if (*s > 'm')
			n -= 1;
		s++;
	}
	return n;
}
API long fill_b(long *v, int n)
{
	long t = 0;
	for (int i = 0; i < n; i++) {
		t += v[i] * 7;
		if (t > 1000)
			t -= v[i] / 3;
	}
	return t;
}
API void fill_c(char *d, const char *s, int n)
{
	for (int i = 0; i < n; i++) {
		d[i] = s[n - 1 - i];
	}
	d[n] = 0;
}
API int fill_d(int x)
{
	switch (x) {
	case 1:
		return 4;
	case 9:
		return x * x;
	case 12:
		return -x;
	default:
		return x / 5;
	}
}
API int fill_e(const char *a, const char *b)
{
	int r = strcmp(a, b);
	if (r < 0)
		return (int)strlen(b);
	return r ? (int)strlen(a) : 0;
}
API double fill_f(double x, int n)
{
	double r = 1;
	while (n-- > 0) {
		r = r * x + 0.5;
		if (r > 1e9)
			r /= 3;
	}
	return r;
}
