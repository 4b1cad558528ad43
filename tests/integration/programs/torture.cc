/* Eight threads that use a library of C++ which changes all the while: exceptions through it and through us, virtual
 * functions, shared objects, thread-local ones, locks and conditions. What is not as it must be is a line that begins
 * with "bad". */
#include "torture.hh"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <poll.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{
constexpr int threads = 8, rest_after = 64, shared = 4, most_children = 3;
using Clock = std::chrono::steady_clock;

std::atomic<bool> has_to_end;
std::atomic<long> progress[threads], longest, runs, calls;
std::shared_ptr<Account> accounts[shared];

template <typename... Values> void bad(const char *format, Values... values)
{
	char text[200];
	std::snprintf(text, sizeof text, format, values...);
	std::printf("bad: %s\n", text);
}

/* All but the first thread leave time to others. */
void rest(int number)
{
	if (++progress[number] % rest_after == 0 && number)
		std::this_thread::sleep_for(std::chrono::microseconds(200));
}

/* What is withdrawn too much comes back as an exception that is caught by its own class, or by the one above it. */
void overdraw(int own)
{
	auto account = open_account(own);
	long expected = 0;
	auto before = Clock::now();
	while (!has_to_end) {
		account->deposit(5);
		account->withdraw(4);
		expected++;
		try {
			account->withdraw(expected + 7);
			bad("more is withdrawn than there is");
		} catch (const std::runtime_error &error) {
			auto overdrawn = dynamic_cast<const Overdrawn *>(&error);
			if (!overdrawn || overdrawn->missing != 7 || std::strcmp(error.what(), "missing 7") != 0)
				bad("what is caught is another one: %s", error.what());
		}
		if (account->balance() != expected)
			bad("an account has %ld instead of %ld", account->balance(), expected);
		auto after = Clock::now();
		long taken = std::chrono::nanoseconds(after - before).count();
		if (taken > longest)
			longest = taken;
		before = after;
		rest(own);
	}
}

/* Our exception goes through the library's frames. */
void throw_through(int own)
{
	while (!has_to_end) {
		try {
			runs++;
			count_end([own] { throw own; });
			bad("nothing was thrown");
		} catch (int number) {
			if (number != own)
				bad("%d is caught instead of %d", number, own);
		}
		rest(own);
	}
}

/* Objects of all versions, which several threads hold and let go. */
void share(int own)
{
	std::vector<std::shared_ptr<Account>> held;
	while (!has_to_end) {
		long turn = progress[own];
		rest(own);
		auto fresh = open_account(turn);
		fresh->deposit(turn);
		auto old = std::atomic_exchange(&accounts[turn % shared], fresh);
		held.push_back(std::move(old));
		held.push_back(std::atomic_load(&accounts[(turn + 1) % shared]));
		for (auto &it : held)
			if (it && (it->mark() < 1 || it->mark() > 4 || it->balance() < 0))
				bad("an account is broken");
		if (held.size() > 32)
			held.clear();
	}
}

void produce(int own)
{
	for (long item = 1; !has_to_end; item++) {
		put(std::make_unique<long>(item));
		rest(own);
	}
	put(nullptr);
}

void consume(int own)
{
	long expected = 1;
	for (std::unique_ptr<long> item; (item = take()); expected++) {
		if (*item != expected)
			bad("item %ld comes instead of %ld", *item, expected);
		rest(own);
	}
}

/* Threads that come and go, each with an object of its own. */
void come_and_go(int own)
{
	while (!has_to_end) {
		std::thread([own] {
			long count = 20 + progress[own] % 7;
			for (long call = 1; call <= count; call++) {
				if (long found = own_calls(); found != call)
					bad("call %ld of a thread is counted as %ld", call, found);
				std::this_thread::sleep_for(std::chrono::microseconds(100));
			}
			calls += count;
		}).join();
		rest(own);
	}
}

[[noreturn]] void live_as_child()
{
	auto account = open_account(1);
	auto end = Clock::now() + std::chrono::milliseconds(1500);
	long expected = 0;
	int changes = 0, last = version();
	while (Clock::now() < end && changes < 3) {
		account->deposit(1);
		expected++;
		changes += version() != last;
		last = version();
		usleep(500);
	}
	_exit(account->balance() == expected ? changes : 100);
}

int children, made, killed, updated;

void look_after_children(bool at_the_end)
{
	int status;
	pid_t pid;
	while (children && (pid = waitpid(-1, &status, at_the_end ? 0 : WNOHANG)) != 0) {
		if (pid == -1)
			bad("waiting for a child: %s", std::strerror(errno));
		children--;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			killed++;
		else if (!WIFEXITED(status) || WEXITSTATUS(status) > 3)
			bad("a child ends with %#x", status);
		else
			updated += WEXITSTATUS(status) > 0;
	}
	if (children < most_children && !at_the_end) {
		pid = fork();
		if (pid == 0)
			live_as_child();
		children++;
		made++;
	}
}

void report()
{
	std::printf("version %d children %d killed %d updated %d longest %.1f progress", version(), made, killed, updated,
		    static_cast<double>(longest.exchange(0)) / 1e6);
	for (auto &it : progress)
		std::printf(" %ld", it.load());
	std::puts("");
}
} // namespace

int main()
{
	void (*work[threads])(int) = {overdraw, overdraw, throw_through, share, share, produce, consume, come_and_go};
	std::setvbuf(stdout, nullptr, _IOLBF, 0);
	std::vector<std::thread> all;
	for (int i = 0; i < threads; i++)
		all.emplace_back(work[i], i);
	pollfd input = {0, POLLIN, 0};
	int found;
	while ((found = poll(&input, 1, 50)) == 0) {
		look_after_children(false);
		report();
	}
	if (found < 0)
		bad("poll: %s", std::strerror(errno));
	look_after_children(true);
	has_to_end = true;
	for (auto &it : all)
		it.join();
	for (auto &it : accounts)
		it.reset();
	if (open_accounts() != 0)
		bad("%ld accounts are left", open_accounts());
	if (counted_ends() != runs)
		bad("%ld ends are counted of %ld", counted_ends(), runs.load());
	if (calls_of_ended_threads() != calls)
		bad("%ld calls of threads are counted of %ld", calls_of_ended_threads(), calls.load());
	if (progress[5] != progress[6])
		bad("%ld items were put, and %ld taken", progress[5].load(), progress[6].load());
	report();
	std::puts("all is counted");
	return 0;
}
