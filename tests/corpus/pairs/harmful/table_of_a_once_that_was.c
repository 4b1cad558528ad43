#include "fill.h"
static pthread_once_t once = PTHREAD_ONCE_INIT;
static long count;
static char scratch[64];
#ifdef NEW
static unsigned char *table;
#endif
static void begin(void)
{
	count = 7;
	scratch[0] = 1;
#ifdef NEW
	table = malloc(256);
	for (int i = 0; i < 256; i++)
		table[i] = (unsigned char)(i ^ 0x55);
#endif
}
API long lib_use(const unsigned char *s)
{
	pthread_once(&once, begin);
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
	pthread_once(&once, begin);
	return scratch + i;
}
