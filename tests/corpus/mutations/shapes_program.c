/* Makes shapes once, then shows all that they hold for each line of standard input. A line "more" makes more. */
#include <stdio.h>

enum { MOST = 16 };

struct shape;
struct shape *shape_make(long width, long height);
void shape_delete(struct shape *shape);
long shape_area(const struct shape *shape);
long shape_edge(const struct shape *shape);
long shape_look(const struct shape *shape);
long shape_count(const struct shape *square);
long shape_made(void);

static struct shape *squares[MOST], *boxes[MOST];
static int count;

static void make_more(void)
{
	squares[count] = shape_make(3 + count, 3 + count);
	boxes[count] = shape_make(3 + count, 4 + count);
	count++;
	shape_delete(shape_make(1, 1));
}

static void show(void)
{
	printf("shapes %ld", shape_made());
	for (int i = 0; i < count; i++) {
		struct shape *square = squares[i], *box = boxes[i];
		printf(" | %ld %ld %ld %ld", shape_area(square), shape_edge(square), shape_look(square),
		       shape_count(square));
		printf(" %ld %ld %ld", shape_area(box), shape_edge(box), shape_look(box));
	}
	printf(" end\n");
}

int main(void)
{
	char line[9];
	make_more();
	while (fgets(line, sizeof line, stdin)) {
		if (*line == 'm')
			make_more();
		show();
		fflush(stdout);
	}
	return 0;
}
