/* Where the order is the same but for equal ones, everything is found. */
#define BEFORE(a, b) ((a) < (b))
#ifdef NEW
#define GOES_BEHIND(key, other) ((other) <= (key))
#else
#define GOES_BEHIND(key, other) ((other) < (key))
#endif
#include "sorted_list.h"
