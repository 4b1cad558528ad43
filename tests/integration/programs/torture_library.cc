/* One of four versions that keep the same data, each with code of its own. */
#include "torture.hh"

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

namespace
{
constexpr std::size_t places = 4;
std::atomic<long> accounts, ends, calls;
std::mutex queue_lock;
std::condition_variable has_room, has_items;
std::map<long, std::unique_ptr<long>> queue; /* by number */
long first, next_number;

class Kept final : public Account
{
      public:
	explicit Kept(long id) : id(id)
	{
		accounts++;
	}
	~Kept() override
	{
		accounts--;
	}
	void deposit(long amount) override
	{
		std::lock_guard guard(lock);
#if VERSION % 2
		sum += amount;
#else
		for (long half = amount / 2, i = 0; i < 2; i++)
			sum += i ? amount - half : half;
#endif
	}
	void withdraw(long amount) override
	{
		std::unique_lock guard(lock);
#if VERSION < 3
		if (sum < amount)
			throw Overdrawn(amount - sum, VERSION);
		sum -= amount;
#else
		long left = sum - amount;
		if (left < 0)
			throw Overdrawn(-left, VERSION);
		sum = left;
#endif
	}
	long balance() const override
	{
		std::lock_guard guard(lock);
		return sum;
	}
	int mark() const override
	{
		return VERSION;
	}

      private:
	mutable std::mutex lock;
	long id, sum = 0;
};

struct Own {
	long count = 0;
	~Own()
	{
		calls += count;
	}
};
thread_local Own own;

struct End {
	~End()
	{
#if VERSION == 4
		ends.fetch_sub(-1);
#else
		ends++;
#endif
	}
};
} // namespace

#if VERSION == 3
long in_front(long it)
{
	return it * open_accounts() + counted_ends();
}
#endif

int version()
{
	return VERSION;
}

Overdrawn::Overdrawn(long missing, int by)
	: std::runtime_error("missing " + std::to_string(missing)), missing(missing), by(by)
{
}

Overdrawn::~Overdrawn() = default;

std::shared_ptr<Account> open_account(long id)
{
#if VERSION == 2
	return std::shared_ptr<Account>(new Kept(id));
#else
	return std::make_shared<Kept>(id);
#endif
}

long open_accounts()
{
	return accounts;
}

void count_end(const std::function<void()> &run)
{
	End end;
	run();
}

long counted_ends()
{
	return ends;
}

void put(std::unique_ptr<long> item)
{
	std::unique_lock guard(queue_lock);
	has_room.wait(guard, [] { return queue.size() < places; });
	queue[next_number++] = std::move(item);
#if VERSION % 2
	guard.unlock();
#endif
	has_items.notify_one();
}

std::unique_ptr<long> take()
{
	std::unique_lock guard(queue_lock);
	has_items.wait(guard, [] { return !queue.empty(); });
	auto found = std::move(queue.at(first));
	queue.erase(first++);
	has_room.notify_one();
	return found;
}

long own_calls()
{
	return ++own.count;
}

long calls_of_ended_threads()
{
	return calls;
}
