/* A store of items: what a library keeps in heap objects, static, exported and thread-local variables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { SMALL, LARGE };

struct point {
	int x, y;
};

struct item {
	struct item *next;
	int id;
	int weight;
	char name[16];
	unsigned int shape : 3, color : 5;
	enum kind kind;
	struct point position;
	union {
		int number;
		short half;
	} value;
	long (*price)(struct item *);
	long (*volume)(struct item *);
	int marks[4];
};

struct entry {
	int key;
	int content;
};

static struct item *items;
static int item_count;
static int last_found;
static int limits[2] = {7, 9};
static int retries = 3;
static struct entry *entries;
int store_level = 5;
int store_options[2] = {1, 2};
static __thread int thread_adds;
static __thread int thread_finds;
static const int primes[4] = {2, 3, 5, 7};

static long price_of(struct item *it)
{
	return 10L * it->weight + it->position.x;
}

static long volume_of(struct item *it)
{
	return 100L * it->weight + it->position.y;
}

static void complain(const char *what, int line)
{
	fprintf(stderr, "store: %s (line %d)\n", what, line);
}

__attribute__((constructor)) static void store_begin(void)
{
	last_found = -1;
}

struct item *store_add(int id, int weight, const char *name)
{
	static int adds;
	struct item *it = malloc(sizeof *it);
	if (!it) {
		complain("no memory", __LINE__);
		return NULL;
	}
	memset(it, 0, sizeof *it);
	it->id = id;
	it->weight = weight;
	strncpy(it->name, name, sizeof it->name - 1);
	it->shape = id & 7;
	it->color = weight & 31;
	it->kind = weight > 50 ? LARGE : SMALL;
	it->position.x = id + 1;
	it->position.y = id + 2;
	it->value.number = id * 1000;
	it->price = price_of;
	it->volume = volume_of;
	for (int i = 0; i < 4; i++)
		it->marks[i] = id * primes[i];
	it->next = items;
	items = it;
	item_count++;
	thread_adds++;
	adds++;
	store_level = adds;
	return it;
}

struct item *store_find(int id)
{
	thread_finds++;
	for (struct item *it = items; it; it = it->next)
		if (it->id == id) {
			last_found = id;
			return it;
		}
	complain("not found", __LINE__);
	return NULL;
}

int store_weigh(void)
{
	int sum = 0;
	for (struct item *it = items; it; it = it->next)
		sum += it->weight;
	return sum;
}

const char *store_name(const struct item *it)
{
	return it->name;
}

int store_look(const struct item *it)
{
	return it->shape * 100 + it->color;
}

int store_is_large(const struct item *it)
{
	return it->kind == LARGE;
}

int store_distance(const struct item *it)
{
	return it->position.x + it->position.y;
}

int store_value(const struct item *it)
{
	return it->value.number;
}

long store_price(struct item *it)
{
	return it->price(it);
}

long store_volume(struct item *it)
{
	return it->volume(it);
}

int store_mark(const struct item *it, int index)
{
	return it->marks[index];
}

void store_enter(int key, int content)
{
	if (!entries)
		entries = calloc(8, sizeof *entries);
	entries[key].key = key;
	entries[key].content = content;
}

int store_content(int key)
{
	return entries[key].key == key ? entries[key].content : -1;
}

int store_limit(int index)
{
	return limits[index];
}

void store_set_limit(int index, int limit)
{
	limits[index] = limit;
}

int store_count(void)
{
	return item_count;
}

int store_last(void)
{
	return last_found;
}

int store_thread(void)
{
	return thread_adds * 100 + thread_finds;
}

int store_retries(void)
{
	return retries;
}
