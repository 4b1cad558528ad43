/*
 * Has a page of its memory in a file that is not given: whoever reads it waits. The arguments are which page, and the
 * file. A line "withhold" on standard input says what the page is, in hexadecimal digits, and puts the file there; any
 * other is answered with the library's version.
 */
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096

int version(void);

static char *page_of(const char *name)
{
	uintptr_t address;
	if (!strcmp(name, "list"))
		address = (uintptr_t)_r_debug.r_map->l_next->l_next;
	else if (!strcmp(name, "environment"))
		address = (uintptr_t)getenv("LARGE") + 2 * PAGE; /* its neighbours may hold our own frames */
	else
		address = (uintptr_t)((struct link_map *)_r_debug.r_map->l_next->l_next)->l_ld;
	return (char *)(address & ~(uintptr_t)(PAGE - 1));
}

static void withhold(char *page, const char *path)
{
	static char digits[2 * PAGE + 1];
	int file = open(path, O_RDONLY);
	for (int index = 0; index < PAGE; ++index)
		sprintf(digits + 2 * index, "%02x", (unsigned char)page[index]);
	puts(digits);
	fflush(stdout);
	if (file < 0 || mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0) != page)
		perror(path);
	puts("withheld");
}

int main(int count, char **arguments)
{
	char line[99];
	if (count != 3)
		return 2;
	char *page = page_of(arguments[1]), *path = strdup(arguments[2]);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		if (!strcmp(line, "withhold\n"))
			withhold(page, path);
		else
			printf("version %d\n", version());
		fflush(stdout);
	}
	return 0;
}
