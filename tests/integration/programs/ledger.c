/* Uses the library of ledger.rs as it is told: one letter a line. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct book;
struct book *book_open(void);
void book_add(struct book *);
int64_t book_deposit(struct book *, int64_t amount);
int64_t book_deposit_after(struct book *, int64_t amount, void (*ready)(void));
void book_print(const struct book *);
void book_close(struct book *);
void *worker_start(void);
int64_t worker_deposit(void *worker, struct book *, int64_t amount);
void worker_end(void *worker);

static struct book *book;

static void say(const char *what, int64_t sum)
{
	printf("%s %ld\n", what, (long)sum);
	fflush(stdout);
}

/* Returns when a further line has come. */
static void wait_for_line(void)
{
	char line[16];

	say("waiting", 0);
	if (!fgets(line, sizeof line, stdin))
		abort();
}

static void *deposit_in_a_thread(void *unused)
{
	say("in a thread", book_deposit(book, 100));
	return unused;
}

int main(void)
{
	void *worker = worker_start();
	char line[16];

	book = book_open();
	while (fgets(line, sizeof line, stdin)) {
		pthread_t thread;

		switch (line[0]) {
		case 'a':
			book_add(book);
			say("added", 0);
			break;
		case 'd':
			say("deposit", book_deposit(book, 100));
			break;
		case 'p': /* panics, and is caught */
			say("panic", book_deposit(book, -9999));
			break;
		case 'P': /* the same in an account, for a trait object */
			say("panic in an account", book_deposit(book, -100));
			break;
		case 'w':
			say("worker", worker_deposit(worker, book, 100));
			break;
		case 'W':
			worker_end(worker);
			worker = worker_start();
			say("new worker", 0);
			break;
		case 't':
			pthread_create(&thread, NULL, deposit_in_a_thread, NULL);
			pthread_join(thread, NULL);
			say("thread gone", 0);
			break;
		case 'l': /* begins in one version and goes on when there is another */
			say("late", book_deposit_after(book, 100, wait_for_line));
			break;
		case 'L':
			say("late panic", book_deposit_after(book, -100, wait_for_line));
			break;
		case 'b':
			book_print(book);
			break;
		case 'n':
			book_close(book);
			book = book_open();
			say("new", 0);
			break;
		}
	}
	worker_end(worker);
	book_close(book);
	return 0;
}
