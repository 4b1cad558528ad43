/* Remembers what a library gave it at the start, everywhere, and says at each line what it gets by that. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct item;
struct item *item_new(int);
int item_known(const struct item *), item_run(struct item *), version(void);
void item_set(struct item *, const char *), item_delete(struct item *);
int (*item_worker(void))(int);

enum { THREADS = 4, ITEMS = 64 };

static __thread int (*in_thread)(int);
static atomic_int answers[THREADS];

/* Calls by a pointer that it got once, all the while. */
static void *call_for_ever(void *number)
{
	int (*call)(int) = item_worker();
	in_thread = call;
	for (unsigned long i = 0;; i++) {
		int found = (i & 1 ? in_thread : call)(3);
		if (found < 30 || found > 39)
			abort();
		atomic_store(&answers[(long)number], found);
	}
	return NULL;
}

static void show(const char *who, struct item **items, int count, int (*asked)(struct item *))
{
	int known = 15, least = asked(items[0]), most = least;
	for (int i = 0; i < count; i++) {
		int found = asked(items[i]);
		known &= item_known(items[i]);
		least = found < least ? found : least;
		most = found > most ? found : most;
	}
	printf("%s: version %d, %d items, known %d, run %d to %d, worker %d\n", who, version(), count, known, least,
	       most, item_worker()(3));
	fflush(stdout);
}

int main(void)
{
	struct item *items[ITEMS];
	int count = 0;
	int (*asked)(struct item *) = (int (*)(struct item *))dlsym(RTLD_DEFAULT, "item_run");
	int (*kept)(int) = item_worker();
	char line[99];
	for (long i = 0; i < THREADS; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, call_for_ever, (void *)i) != 0)
			abort();
	}
	items[count++] = item_new(0);
	while (fgets(line, sizeof line, stdin)) {
		struct item *spare = items[0];
		items[0] = item_new(0);
		item_set(spare, "changed");
		item_delete(spare);
		items[count++] = item_new(count & 1);
		show("parent", items, count, asked);
		if (kept != item_worker() || asked != (int (*)(struct item *))dlsym(RTLD_DEFAULT, "item_run"))
			printf("another address\n");
		for (int i = 0; i < THREADS; i++)
			printf("thread %d\n", atomic_load(&answers[i]));
		fflush(stdout);
		if (fork() == 0) {
			show("child", items, count, asked);
			_exit(0);
		}
		wait(NULL);
	}
	return 0;
}
