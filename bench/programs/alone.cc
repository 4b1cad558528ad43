// What a program with one thread does without locks: copies of a shared_ptr and characters put, as long as libc and
// libstdc++ know it to be alone. Each line: copies per second, characters per second. Ends with standard input.
#include <chrono>
#include <cstdio>
#include <memory>

extern "C" int add(int number);

template <typename Work> static double per_second(Work work)
{
	using clock = std::chrono::steady_clock;
	auto start = clock::now();
	double done = 0, passed;
	do {
		for (int i = 0; i < 100000; i++)
			work(i);
		done += 100000;
		passed = std::chrono::duration<double>(clock::now() - start).count();
	} while (passed < 0.3);
	return done / passed;
}

int main()
{
	char line[9];
	auto shared = std::make_shared<int>(add(1));
	std::shared_ptr<int> copy;
	FILE *nowhere = std::fopen("/dev/null", "w");
	while (std::fgets(line, sizeof line, stdin)) {
		double copies = per_second([&](int) { copy = shared; });
		double characters = per_second([&](int i) { std::putc(i, nowhere); });
		std::printf("%.0f %.0f\n", copies, characters);
		std::fflush(stdout);
	}
}
