/* Asks for a user all the while, in two threads, and says what the answer is when it is another one. */
#include <nss.h>
#include <pthread.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdio.h>

int __nss_configure_lookup(const char *database, const char *services); /* glibc, nss/nss_database.c */

static _Atomic int is_over, failures;

static void *ask(void *name)
{
	uid_t last = 0;
	char buffer[256];

	while (!is_over) {
		struct passwd entry, *found = NULL;

		if (getpwnam_r(name, &entry, buffer, sizeof buffer, &found) != 0 || !found) {
			failures++;
		} else if (found->pw_uid != last) {
			last = found->pw_uid;
			printf("%s is %u\n", (char *)name, (unsigned)last);
			fflush(stdout);
		}
	}
	return NULL;
}

int main(void)
{
	char line[16];
	pthread_t other;

	__nss_configure_lookup("passwd", "guests");
	pthread_create(&other, NULL, ask, "guest-2");
	while (fgets(line, sizeof line, stdin)) {
		char buffer[256];
		struct passwd entry, *found = NULL;

		getpwnam_r("guest-1", &entry, buffer, sizeof buffer, &found);
		printf("guest-1: %s\n", found ? found->pw_gecos : "none");
		fflush(stdout);
	}
	is_over = 1;
	pthread_join(other, NULL);
	printf("failures %d\n", (int)failures);
	return 0;
}
