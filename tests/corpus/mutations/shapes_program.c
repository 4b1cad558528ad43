/* Makes shapes once, then shows all that they hold for each line of standard input. */
#include <stdio.h>

struct shape;
struct shape *shape_make(long width, long height);
void shape_delete(struct shape *shape);
long shape_area(const struct shape *shape);
long shape_edge(const struct shape *shape);
long shape_look(const struct shape *shape);
long shape_count(const struct shape *square);
long shape_made(void);

int main(void)
{
	char line[9];
	struct shape *square = shape_make(3, 3), *box = shape_make(3, 4);
	shape_delete(shape_make(1, 1));
	while (fgets(line, sizeof line, stdin)) {
		printf("shapes %ld %ld %ld %ld", shape_made(), shape_area(square), shape_edge(square),
		       shape_look(square));
		printf(" %ld %ld %ld %ld end\n", shape_count(square), shape_area(box), shape_edge(box),
		       shape_look(box));
		fflush(stdout);
	}
	return 0;
}
