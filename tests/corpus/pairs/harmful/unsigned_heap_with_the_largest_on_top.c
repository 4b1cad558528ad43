#define NUMBER unsigned
#include "heap_with_the_largest_on_top.c"
