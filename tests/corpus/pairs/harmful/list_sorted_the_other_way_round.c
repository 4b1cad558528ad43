#ifdef NEW
#define BEFORE(a, b) ((a) > (b))
#else
#define BEFORE(a, b) ((a) < (b))
#endif
#define GOES_BEHIND(key, other) BEFORE(other, key)
#include "sorted_list.h"
