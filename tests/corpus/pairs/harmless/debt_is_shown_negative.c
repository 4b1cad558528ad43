#include "fill.h"
struct account {
	long balance, limit;
	int changes;
};
API struct account *account_new(long limit)
{
	struct account *it = malloc(sizeof *it);
	it->balance = 0;
	it->limit = limit;
	it->changes = 0;
	return it;
}
API long account_debt(struct account *it)
{
#ifdef NEW
	return -it->balance;
#else
	return it->balance < 0 ? it->balance : 0;
#endif
}
API int account_pay(struct account *it, long sum)
{
	if (it->balance - sum < it->limit)
		return -1;
	it->balance -= sum;
	return ++it->changes;
}
