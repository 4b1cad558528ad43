#include "fill.h"

struct API text {
#ifdef NEW
	text(const char *, long);
#else
	text(const char *);
#endif
	virtual ~text();
	char room[40];
#ifdef NEW
	long size;
#endif
};
extern "C" {
API void keep(text *);
API void text_add(const char *s)
{
#ifdef NEW
	keep(new text(s, 1));
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
		keep(new text(s, n));
#else
		keep(new text(s));
#endif
		s += strlen(s) + 1;
	}
}
}
