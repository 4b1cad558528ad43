/* What the threads of torture.cc share with a library that changes all the while. */
#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>

int version();

struct Overdrawn : std::runtime_error {
	Overdrawn(long missing, int by);
	~Overdrawn() override;
	long missing;
	int by;
};

class Account
{
      public:
	virtual ~Account() = default;
	virtual void deposit(long amount) = 0;
	/* Throws Overdrawn. */
	virtual void withdraw(long amount) = 0;
	virtual long balance() const = 0;
	virtual int mark() const = 0;
};

std::shared_ptr<Account> open_account(long id);
long open_accounts();

/* Runs a function that may throw, and counts that it has ended. */
void count_end(const std::function<void()> &run);
long counted_ends();

/* A queue of few places: whoever finds it full, or empty, waits. */
void put(std::unique_ptr<long> item);
std::unique_ptr<long> take();

/* How often this thread has called; what threads have called that have ended. */
long own_calls();
long calls_of_ended_threads();
