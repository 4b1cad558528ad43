/* Says for each line that it reads what its library says; and which signals it gets, which end it with 3. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int value(void);
extern int calls;

static void got(int number)
{
	char text[] = "got signal ..\n";
	text[11] = (char)('0' + number / 10);
	text[12] = (char)('0' + number % 10);
	write(1, text, sizeof text - 1);
	if (number != SIGINT)
		_exit(3);
}

int main(void)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = got;
	action.sa_flags = SA_RESTART;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	printf("process %d begins\n", getpid());
	fflush(stdout);
	char line[80];
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (!strcmp(line, "crash"))
			raise(SIGSEGV);
		int said = value();
		printf("%s: value %d, call %d\n", line, said, calls);
		fflush(stdout);
	}
	return 7;
}
