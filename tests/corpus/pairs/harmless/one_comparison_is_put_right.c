#include "fill.h"

struct limits {
	long low, high;
	int clipped;
};
API long limits_clip(struct limits *l, long value)
{
#ifdef NEW
	if (value < l->low) {
#else
	if (value > l->low) {
#endif
		l->clipped++;
		return l->low;
	}
	return value;
}
API int limits_have(struct limits *l, long value)
{
	return value >= l->low && value <= l->high;
}
