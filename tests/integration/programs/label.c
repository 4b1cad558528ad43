#include <stdio.h>
struct kind;
struct box {
	const char *name;
};
const char *label(void), *literal(void);
const struct kind *kind(void);
void name_it(struct box *);
int is_label(const char *), is_kind(const struct kind *), is_literal(const char *), version(void);
int have_same_name(const struct box *, const struct box *), ends_with(const char *, int);

int main(void)
{
	const char *const known_label = label(), *const known_literal = literal();
	const struct kind *known_kind = kind();
	struct box first, another;
	name_it(&first);
	while (getchar() > 0) {
		name_it(&another);
		int known = is_label(known_label) | is_kind(known_kind) << 1 | is_literal(known_literal) << 2;
		known |= have_same_name(&first, &another) << 3 | ends_with(known_label, 'h') << 4;
		printf("version %d, known %d\n", version(), known | !ends_with(known_label, 'z') << 5);
		fflush(stdout);
	}
	return 0;
}
