// What C++ adds: virtual functions and types, objects of functions with their guards, inline variables, exceptions.
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

namespace
{
std::map<std::string, int> counts;
std::vector<std::string> words = {"a", "bc", "def"};
std::mutex mutex;
std::once_flag once;
} // namespace

namespace own
{
struct Base {
	virtual ~Base() = default;
	virtual int value() const
	{
		return number;
	}
	int number = 4;
};
struct Derived : Base {
	int value() const override
	{
		return number * 2 + total;
	}
	static int total;
};
struct Other {
	virtual ~Other() = default;
	virtual int other() const
	{
		return 3;
	}
};
struct Both : Derived, virtual Other {
	int other() const override
	{
		return value() + 1;
	}
};
int Derived::total = 3;
} // namespace own

namespace
{
using namespace own;
Derived object;
thread_local std::string in_thread;
thread_local int depth;
thread_local long steps[4] = {1, 2, 3, 4};
thread_local std::vector<std::string> stack;
template <int n> struct Series {
	static long sum;
	static long add(long k)
	{
		return sum += k * n;
	}
};
template <int n> long Series<n>::sum = n;
struct guard {
	guard()
	{
		++depth;
	}
	~guard()
	{
		--depth;
	}
};
constexpr int table[] = {5, 4, 3, 2, 1};
} // namespace

inline int shared_by_all = 8;
inline const std::string text_of_all = "text";
inline thread_local int in_each_thread = 2;
struct Exported {
	virtual ~Exported();
	virtual int run(int n)
	{
		return n + shared_by_all;
	}
	static inline std::vector<int> all{1, 2, 3};
};
Exported::~Exported()
{
	shared_by_all++;
}
template <class T> struct Counter {
	static inline int made = 0;
	Counter()
	{
		made++;
	}
};

int look(const std::string &word)
{
	std::lock_guard<std::mutex> guard(mutex);
	static const std::string prefix = word + "-";
	in_thread += prefix;
	return ++counts[prefix + word];
}
int total()
{
	int all = object.value();
	for (auto &word : words)
		all += (int)word.size() + look(word);
	return all;
}
long series(long n)
{
	return Series<1>::add(n) + Series<2>::add(n) + Series<3>::add(n);
}
void first()
{
	try {
		std::call_once(once, [] { words.push_back("new"); });
	} catch (...) {
		Derived::total--;
		throw;
	}
}
Base *make(int n)
{
	return n == 0 ? new Base : n == 1 ? new Derived : static_cast<Base *>(new Both);
}
Other *other(Base *it)
{
	return dynamic_cast<Both *>(it);
}
bool is_derived(const Base &it)
{
	return typeid(it) == typeid(Derived);
}
const std::type_info &type_of(int n)
{
	return n ? typeid(Both) : typeid(int *);
}
int (Base::*member(int n))() const
{
	return n ? &Base::value : nullptr;
}
Exported *exported()
{
	return new Exported;
}
int counted()
{
	Counter<int> one;
	Counter<long> two;
	Exported::all.push_back(in_each_thread++);
	return Counter<int>::made + Counter<long>::made + (int)text_of_all.size() + table[Exported::all.size() % 5];
}
int walk(int n)
{
	guard here;
	stack.push_back(std::to_string(n));
	if (n > 50)
		throw std::runtime_error(stack.back());
	try {
		steps[n & 3] += walk(n + 1);
	} catch (const std::exception &error) {
		steps[0] += depth;
		stack.clear();
	}
	return depth + (int)steps[1];
}
auto lambda(int n) -> int (*)(int)
{
	static int calls;
	return n ? +[](int k) { return k + calls++; } : +[](int k) { return k - shared_by_all; };
}
