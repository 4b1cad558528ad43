#include <stdint.h>

typedef int64_t (*mixer_callback)(uintptr_t argument, int number);

struct mixer_counts {
	int version;
	uint64_t calls, locked_calls;
};

int mixer_version(void);
int64_t mixer_sum(int count, mixer_callback each, uintptr_t argument);
void mixer_count(struct mixer_counts *counts);
uint64_t mixer_count_here(void);
