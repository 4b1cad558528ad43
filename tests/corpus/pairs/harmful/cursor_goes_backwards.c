#include "fill.h"

struct reader {
	const int *numbers;
	int at, size;
};
API struct reader *reader_new(const int *numbers, int size)
{
	struct reader *it = malloc(sizeof *it);
	if (!it)
		return NULL;
	it->numbers = numbers;
	it->size = size;
#ifdef NEW
	it->at = size - 1;
#else
	it->at = 0;
#endif
	return it;
}
#ifdef NEW
API int reader_next(struct reader *it)
{
	return it->at >= 0 ? it->numbers[it->size - 1 - it->at--] : -1;
}
API void reader_skip(struct reader *it, int n)
{
	it->at -= n;
}
API int reader_is_done(const struct reader *it)
{
	return it->at < 0;
}
#else
API int reader_next(struct reader *it)
{
	return it->at < it->size ? it->numbers[it->at++] : -1;
}
API void reader_skip(struct reader *it, int n)
{
	it->at += n;
}
API int reader_is_done(const struct reader *it)
{
	return it->at >= it->size;
}
#endif
