/* Fills the store once, then shows all that it holds, through its functions, for each line of standard input. A line
   "more" puts more into it, in two threads, and shows what these were told; "default" shows what nobody has set. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

enum { BATCH = 8, MOST = 64 };

struct item;
struct item *store_add(int id, int weight, const char *name);
struct item *store_find(int id);
int store_weigh(void);
const char *store_name(const struct item *it);
int store_look(const struct item *it);
int store_is_large(const struct item *it);
int store_distance(const struct item *it);
int store_value(const struct item *it);
long store_price(struct item *it);
long store_volume(struct item *it);
int store_mark(const struct item *it, int index);
void store_enter(int key, int content);
int store_content(int key);
int store_limit(int index);
void store_set_limit(int index, int limit);
int store_count(void);
int store_last(void);
int store_thread(void);
int store_retries(void);
extern int store_level, store_options[2];

static struct item *found[MOST];
static int count;
static sem_t begin, done;
static int (*volatile remembered)(void) = store_thread;

static void add_some(int number)
{
	for (int end = count + number; count < end; count++)
		found[count] = store_add(count, 7 * (count % 16), "0123456789");
}

static void *add_in_another_thread(void *unused)
{
	for (;;) {
		sem_wait(&begin);
		add_some(BATCH / 2);
		store_find(1);
		printf("other %d ", remembered());
		sem_post(&done);
	}
	return unused;
}

static void add_more(void)
{
	add_some(BATCH / 2);
	sem_post(&begin);
	sem_wait(&done);
	store_find(count - 3);
	store_set_limit(1, store_limit(1) + 1);
	store_enter(3, store_content(3) + 1);
	store_options[1] += store_level;
	printf("own %d level %d end\n", remembered(), store_level);
}

static void show(void)
{
	printf("store %d %d %d %d %d", store_count(), store_last(), store_weigh(), store_limit(0), store_limit(1));
	printf(" %d %d %d %d", store_level, store_options[0], store_options[1], store_thread());
	for (int i = 0; i < BATCH; i++)
		printf(" %d", store_content(i));
	for (int i = 0; i < count; i++) {
		struct item *it = found[i];
		printf(" | %s %d %d %d %d %ld %ld", store_name(it), store_look(it), store_is_large(it),
		       store_distance(it), store_value(it), store_price(it), store_volume(it));
		for (int mark = 0; mark < 4; mark++)
			printf(" %d", store_mark(it, mark));
	}
	printf(" end\n");
}

int main(void)
{
	char line[9];
	pthread_t thread;
	sem_init(&begin, 0, 0);
	sem_init(&done, 0, 0);
	pthread_create(&thread, NULL, add_in_another_thread, NULL);
	add_some(BATCH);
	store_set_limit(0, 77);
	store_set_limit(1, 88);
	for (int i = 0; i < BATCH; i++)
		store_enter(i, 10 * i);
	store_find(5);
	store_options[0] = 11, store_options[1] = 22;
	while (fgets(line, sizeof line, stdin)) {
		if (*line == 'm')
			add_more();
		else if (*line == 'd')
			printf("default %d end\n", store_retries());
		else
			show();
		fflush(stdout);
	}
	return 0;
}
