#include "fill.h"
static int ready;
static long count;
static char scratch[64];
#ifdef NEW
static unsigned char *table;
#endif
static __attribute__((noinline)) void begin(void)
{
	if (ready)
		return;
	ready = 1;
	count = 0;
	scratch[0] = 1;
#ifdef NEW
	table = malloc(256);
	for (int i = 0; i < 256; i++)
		table[i] = (unsigned char)(i ^ 0x55);
#endif
}
API long lib_use(const unsigned char *s)
{
	begin();
#ifdef NEW
	while (*s)
		count += table[*s++];
#else
	while (*s)
		count += *s++;
#endif
	return count;
}
API char *lib_scratch(int i)
{
	begin();
	return scratch + i;
}
