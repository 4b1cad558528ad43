/* Fills the store once, then shows all that it holds, through its functions, for each line of standard input. */
#include <stdio.h>

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
extern int store_level, store_options[2];

int main(void)
{
	char line[9];
	struct item *found[8];
	for (int i = 0; i < 8; i++)
		found[i] = store_add(i, 7 * i, "0123456789");
	store_set_limit(0, 77);
	store_set_limit(1, 88);
	for (int i = 0; i < 8; i++)
		store_enter(i, 10 * i);
	store_find(5);
	store_options[0] = 11, store_options[1] = 22;
	while (fgets(line, sizeof line, stdin)) {
		printf("store %d %d %d %d %d", store_count(), store_last(), store_weigh(), store_limit(0),
		       store_limit(1));
		printf(" %d %d %d %d", store_level, store_options[0], store_options[1], store_thread());
		for (int i = 0; i < 8; i++) {
			struct item *it = found[i];
			printf(" | %s %d %d %d %d %ld %ld", store_name(it), store_look(it), store_is_large(it),
			       store_distance(it), store_value(it), store_price(it), store_volume(it));
			for (int mark = 0; mark < 4; mark++)
				printf(" %d", store_mark(it, mark));
			printf(" %d", store_content(i));
		}
		printf(" end\n");
		fflush(stdout);
	}
	return 0;
}
