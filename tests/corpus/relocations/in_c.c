// All ways in which C refers to variables, constants, functions and thread-local variables, as far as compilers differ.
#include <setjmp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN __attribute__((visibility("hidden")))

typedef struct {
	char flag;
	short small;
	int number;
	long wide;
	double real;
	float vector[8];
} record;
typedef struct node {
	const char *name;
	const struct node *next;
	int (*act)(int);
	int value;
} node;

static record records[64], one = {1, 2, 3, 4, 5.0, {6}};
static unsigned char bytes[300];
static char sink[4096] __attribute__((aligned(64)));
static short shorts[] = {1, 2, 3};
static atomic_long hits;
static _Atomic char lock;
static int (*handler)(int);
static void *kept[4];
HIDDEN int hidden = 5;
HIDDEN extern record hidden_record;
HIDDEN record hidden_record = {.number = 9};
int exported = 6;
extern int exported_table[16];
int exported_table[16] = {1, 2, 3};
__attribute__((visibility("protected"))) long protected = 7;
static __int128 wide;
static long double extended = 1.5L;
static _Complex double complex_number;

static __thread int count = 3;
static __thread short small_count;
static __thread char in_thread_flag, text[40];
static __thread record thread_records[8], thread_one;
static __thread int (*thread_handler)(int);
static __thread jmp_buf place;
__thread int exported_in_thread = 4;
HIDDEN __thread long hidden_in_thread;
HIDDEN extern __thread record hidden_thread_record;
HIDDEN __thread record hidden_thread_record = {.wide = 3};
extern __thread int from_elsewhere __attribute__((tls_model("global-dynamic")));

static const int constants[] = {3, 1, 4, 1, 5, 9, 2, 6};
static const double reals[] = {3.5, 1.25, 4.75, 1.125};
static const char label[] = "a label that is longer than sixteen bytes", empty[1] = "";
HIDDEN extern const char shared_text[];
HIDDEN const char shared_text[] = "shared by all";
const char exported_text[] = "exported";
HIDDEN extern const int hidden_numbers[6];
HIDDEN const int hidden_numbers[6] = {1, 1, 2, 3, 5, 8};
static const char *const names[] = {"one", "two", "three", "four"};

static int twice(int n)
{
	return 2 * n;
}
static int thrice(int n)
{
	return 3 * n + hidden;
}
__attribute__((noinline)) HIDDEN int hidden_function(int n)
{
	return n - (int)protected;
}
__attribute__((noinline)) int exported_function(int n)
{
	return n ^ exported;
}
static const node last = {"last", NULL, thrice, 3}, first = {"first", &last, twice, 4};
HIDDEN extern const node hidden_node;
HIDDEN const node hidden_node = {"hidden", &first, hidden_function, 5};
static int (*const actions[])(int) = {twice, thrice, hidden_function, exported_function};

void store_constants(void)
{
	one.flag = 7, one.small = 0x1234, one.number = 0x12345678, one.wide = -1, hidden = 99, shorts[1] = 300;
	bytes[299] = 1, handler = twice, protected = 0x7fffffff, hidden_record.small = 5, wide = -3;
	sink[5] = 'x', *(short *)(sink + 6) = 0x7777, *(int *)(sink + 8) = 0x55555555, kept[2] = &one;
}
int compare(int n)
{
	return (one.small == 1000) + (one.flag == 3) + (hidden > 70000) + (bytes[0] & 4) + constants[n & 7] +
	       (protected == 12) + (handler == twice) + (kept[1] == &hidden_record) + (kept[3] == (void *)&first);
}
long arithmetic(long n)
{
	one.wide += n, one.number *= 3, one.real *= 1.5, hidden <<= n, hidden ^= 0x55aa, one.small /= 3;
	atomic_fetch_add(&hits, 1), one.flag--, protected = -protected, hidden_record.wide = ~hidden_record.wide,
						wide *= n;
	extended += 1, complex_number *= 2, one.number <<= 3, one.wide >>= 5, bytes[7] |= 0x80, bytes[8] &= 0x7f;
	return atomic_fetch_add(&hits, n) + one.wide + one.number % 10 + __builtin_popcountl(protected) +
	       (one.flag * 100);
}
long shared_with_threads(char n)
{
	long before = 3;
	while (atomic_exchange(&lock, 1))
		;
	atomic_compare_exchange_strong(&hits, &before, 0x12345);
	atomic_fetch_or(&hits, 0x100000);
	atomic_fetch_xor(&hits, n);
	atomic_store(&lock, 0);
	return __sync_bool_compare_and_swap(&hidden, 4, 0x7fffffff) + before;
}
void each(int n)
{
	for (int i = 0; i < 64; i++)
		records[i].number += n, records[i].vector[i & 7] *= 2, records[i].real += one.real;
	for (int i = 0; i < 300; i++)
		bytes[i] ^= (unsigned char)n;
	for (int i = 0; i < 16; i++)
		exported_table[i] += constants[i & 7];
	for (record *it = records; it != records + 64; it++)
		it->wide -= n;
}
double sum(int from)
{
	double all = 0;
	for (int i = from; i < 64; i++)
		all += records[i - 1].real + records[63 - i].vector[2] + reals[i & 3];
	return all;
}
float vectors(void)
{
	float all = 0;
	for (int i = 0; i < 8; i++)
		one.vector[i] += hidden_record.vector[i] * 0.5f, all += one.vector[i];
	return all;
}
void copy(int n)
{
	memcpy(&records[n], &one, sizeof one), memset(bytes, n, sizeof bytes), memcpy(sink, &hidden_record, sizeof one);
	memset(sink + 128, 0, 64), memcpy(sink + 256, label, sizeof label);
}
int choose(int n)
{
	static int calls;
	switch (n) {
	case 0:
		return ++calls;
	case 1:
		return calls += exported;
	case 2:
		return handler ? handler(n) : 0;
	case 3:
		return hidden--;
	case 4:
		return (int)names[n & 1][0];
	case 5:
		return (int)(size_t)&records[3].real;
	case 6:
		return puts(shared_text);
	case 7:
		return exported_table[3] + hidden_numbers[2];
	default:
		return thrice(n);
	}
}
const char *name_of(int n)
{
	switch (n) {
	case 0:
		return "none";
	case 1:
		return "a first";
	case 2:
		return "the second";
	case 3:
		return "a third";
	case 4:
		return "fourth";
	case 5:
		return "and the fifth";
	}
	return empty;
}
const void *constant_of(int n)
{
	switch (n) {
	case 0:
		return constants;
	case 1:
		return reals;
	case 2:
		return label;
	case 3:
		return hidden_numbers + 3;
	case 4:
		return shared_text;
	case 5:
		return exported_text;
	}
	return empty;
}
int jump(const unsigned char *code, int n)
{
	static const void *const labels[] = {&&add, &&sub, &&mul, &&end};
	static const int distances[] = {0, &&sub - &&add, &&mul - &&add, &&end - &&add};
	goto *labels[*code++ & 3];
add:
	n += hidden;
	goto *(&&add + distances[*code++ & 3]);
sub:
	n -= exported;
	goto *labels[*code++ & 3];
mul:
	n *= one.number;
	goto *(&&add + distances[*code++ & 3]);
end:
	return n;
}
const node *node_of(int n)
{
	return n == 1 ? &first : n == 2 ? &last : n == 3 ? &hidden_node : NULL;
}
const node *of_three(int n)
{
	switch (n) {
	case 0:
		return &first;
	case 1:
		return &last;
	case 2:
		return &hidden_node;
	case 3:
		return &last;
	}
	return NULL;
}
int run(int n)
{
	return actions[n & 3](n) + first.act(n) + hidden_node.next->act(n);
}
int (*function_of(int n))(int)
{
	return n == 0 ? twice : n == 1 ? hidden_function : n == 2 ? exported_function : thrice;
}
static int by_size(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b + hidden;
}
void sort(int n)
{
	qsort(exported_table, (size_t)n, sizeof *exported_table, by_size), handler = function_of(n);
}
void *address_of(int n)
{
	static void *const table[] = {&hidden, &one.real, &exported, records + 3};
	return n < 0 ? (void *)&exported : n > 3 ? (void *)&bytes[n] : table[n];
}
ptrdiff_t difference(void)
{
	return (char *)&one - (char *)records + ((char *)&hidden_record - (char *)&hidden);
}
uint64_t mixed(void)
{
	return (uintptr_t)&one * 31 + (uintptr_t)&hidden_function + (uintptr_t)label;
}

static _Noreturn void fail(const char *why)
{
	fprintf(stderr, "%s %d\n", why, count), abort();
}
int plain_thread(int n)
{
	return count += n, small_count++, in_thread_flag ? exported_in_thread : (int)hidden_in_thread;
}
int imported(int n)
{
	return from_elsewhere += n;
}
void each_of_thread(int n)
{
	for (int i = 0; i < 8; i++)
		thread_records[i].number += n, thread_records[i].vector[i & 7] *= 2,
			thread_records[i].real += thread_one.real;
	for (int i = 0; i < 40; i++)
		text[i] ^= (char)(n + in_thread_flag);
}
double sum_of_thread(int from)
{
	double all = 0;
	for (int i = from; i < 8; i++)
		all += thread_records[i].real + thread_records[7 - i].vector[2];
	return all;
}
void copy_of_thread(int n)
{
	memcpy(&thread_records[n], &thread_one, sizeof thread_one), memset(text, n, sizeof text);
}
int through_thread(int n)
{
	return thread_handler ? thread_handler(n) + thread_handler(count) : 0;
}
int spilled(int a, int b, int c, int d, int e, int f)
{
	for (int i = 0; i < a; i++) {
		count += printf("%d %d %d %d %d %d %d\n", a, b, c, d, e, f, i);
		small_count += (short)(a * b), thread_one.wide += c * d + e, hidden_in_thread += f;
		if (count > 1000)
			fail("count");
		thread_records[i & 7].small = (short)printf("%ld\n", thread_one.wide);
	}
	return count + small_count;
}
int choose_of_thread(int n)
{
	switch (n) {
	case 0:
		return count++;
	case 1:
		return small_count--;
	case 2:
		return puts(text);
	case 3:
		return thread_one.number;
	case 4:
		return in_thread_flag;
	case 5:
		return hidden_thread_record.flag;
	case 6:
		return exported_in_thread;
	case 7:
		return setjmp(place);
	default:
		fail("choice");
	}
}
long *address_in_thread(int n)
{
	return n > 2 ? &thread_one.wide : n ? &hidden_in_thread : (long *)&thread_records[n].wide;
}
void set_in_thread(void)
{
	thread_handler = twice, thread_one.small = 0x1234, hidden_in_thread = 70000, text[39] = 1;
}
