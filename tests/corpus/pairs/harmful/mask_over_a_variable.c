#include "fill.h"
#ifdef NEW
#define FORM(x) ~(x)
#else
#define FORM(x) (x)
#endif
static unsigned long enabled;
static int changes;
API void enable(unsigned long bits)
{
	enabled = FORM(bits);
	changes++;
}
API unsigned long enabled_bits(void)
{
	changes += 2;
	return FORM(enabled);
}
API int changes_of_bits(void)
{
	return changes;
}
