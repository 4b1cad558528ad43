#include "fill.h"

/* The classes are another library's, as are their constructors. */
struct API text {
	text(const char *);
	virtual ~text();
	char room[40];
};
struct API words {
	words(const char *);
	virtual ~words();
	char room[48];
};
extern "C" {
API void keep(void *);
API void text_add(const char *s)
{
#ifdef NEW
	keep(new words(s));
#else
	keep(new text(s));
#endif
}
API void text_add_all(const char *s, int n)
{
	while (n-- > 0) {
		if (*s == '#')
			continue;
#ifdef NEW
		keep(new words(s));
#else
		keep(new text(s));
#endif
		s += strlen(s) + 1;
	}
}
}
