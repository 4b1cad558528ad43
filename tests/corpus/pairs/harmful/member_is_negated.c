#include "fill.h"

struct account {
	long balance;
	int n;
};
#ifdef NEW
API struct account *account_make(long b)
{
	struct account *it = malloc(sizeof *it);
	it->balance = -b;
	it->n = 0;
	return it;
}
API void account_add(struct account *it, long v)
{
	it->balance -= v;
	it->n++;
}
API long account_balance(const struct account *it)
{
	return -it->balance;
}
#else
API struct account *account_make(long b)
{
	struct account *it = malloc(sizeof *it);
	it->balance = b;
	it->n = 0;
	return it;
}
API void account_add(struct account *it, long v)
{
	it->balance += v;
	it->n++;
}
API long account_balance(const struct account *it)
{
	return it->balance;
}
#endif
