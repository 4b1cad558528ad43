#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "live.h"

enum { PAGE = 4096, BREAKPOINT = 0xcc /* int3; probes are a matter of x86-64 as long as updates are */ };

/* Read or write memory of this process; an address that is not there is an answer and no crash. */
static bool reach(ssize_t (*move)(pid_t, const struct iovec *, unsigned long, const struct iovec *, unsigned long,
				  unsigned long),
		  char *page, uint64_t address)
{
	struct iovec here = {page, PAGE}, there = {(void *)(uintptr_t)address, PAGE};
	return move(gettid(), &here, 1, &there, 1, 0) == PAGE;
}

/* A breakpoint that the kernel has set (uprobes) belongs to the first file: in a copy of its page it would end the
 * program. A debugger's is not here: then the threads could not have been stopped. */
static void leave_out_probes(char *now, const char *file)
{
	for (size_t i = 0; i < PAGE; i++)
		if ((unsigned char)now[i] == BREAKPOINT)
			now[i] = file[i];
}

/* Let the new mapping hold what the old one holds in the page at `at`: its own copy, where that is not the file's. */
static enum live_status keep_page(const struct live_part *part, uint64_t at, int file, bool *is_writable)
{
	static char now[PAGE], then[PAGE];
	char *place = (char *)(uintptr_t)part->place;
	ssize_t size = pread(file, then, PAGE, (off_t)(part->offset + at));
	if (size < 0)
		return LIVE_NO_FILE;
	memset(then + size, 0, PAGE - (size_t)size);
	if (!reach(process_vm_readv, now, part->address + at))
		return part->protection == PROT_NONE ? LIVE_DONE : LIVE_NOT_MAPPED;
	if (part->protection & PROT_EXEC)
		leave_out_probes(now, then);
	if (memcmp(now, then, PAGE) == 0)
		return LIVE_DONE;
	if (!*is_writable && mprotect(place, part->size, PROT_READ | PROT_WRITE) != 0)
		return LIVE_NO_FILE;
	*is_writable = true;
	return reach(process_vm_writev, now, part->place + at) ? LIVE_DONE : LIVE_NOT_MAPPED;
}

/* Map the part anew, at another place, with its content and protection. Code that is as in the file is never writable.
 */
static enum live_status prepare(struct live_part *part, int file)
{
	enum live_status status = LIVE_DONE;
	bool is_writable = false;
	void *place = mmap(NULL, part->size, (int)part->protection, MAP_PRIVATE, file, (off_t)part->offset);
	if (place == MAP_FAILED)
		return LIVE_NO_FILE;
	part->place = (uintptr_t)place;
	if (part->protection & PROT_WRITE)
		is_writable = true;
	for (uint64_t at = 0; at < part->size && status == LIVE_DONE; at += PAGE)
		status = keep_page(part, at, file, &is_writable);
	if (status == LIVE_DONE && is_writable && mprotect(place, part->size, (int)part->protection) != 0)
		status = LIVE_NO_FILE;
	return status;
}

/* From here on the daemon holds the threads until all is done; false: it does not any more. */
static bool begin(int sheet)
{
	uint32_t begun = 1, withdrawn = 1;
	return pwrite(sheet, &begun, sizeof begun, offsetof(struct live_carry, begun)) == sizeof begun &&
	       pread(sheet, &withdrawn, sizeof withdrawn, offsetof(struct live_carry, withdrawn)) == sizeof withdrawn &&
	       !withdrawn;
}

enum live_status live_carry(int sheet, const char *path, uint64_t *failure)
{
	size_t size;
	struct live_carry *header = live_take_sheet(sheet, sizeof *header, &size);
	if (!header)
		return LIVE_NO_MEMORY;
	struct live_part *parts = (struct live_part *)(header + 1);
	enum live_status status = (char *)(parts + header->parts) == (char *)header + size ? LIVE_DONE : LIVE_MALFORMED;
	uint32_t count = status == LIVE_DONE ? header->parts : 0;
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		status = LIVE_NO_FILE;
	for (uint32_t i = 0; i < count && status == LIVE_DONE; i++)
		status = prepare(&parts[i], file);
	if (status == LIVE_DONE && !begin(sheet))
		status = LIVE_WITHDRAWN;
	for (uint32_t i = 0; i < count && status == LIVE_DONE; i++) {
		struct live_part *part = &parts[i];
		if (mremap((void *)(uintptr_t)part->place, part->size, part->size, MREMAP_MAYMOVE | MREMAP_FIXED,
			   (void *)(uintptr_t)part->address) == MAP_FAILED)
			status = LIVE_NOT_MAPPED;
		else
			part->place = 0;
	}
	*failure = (uint64_t)errno;
	for (uint32_t i = 0; i < count; i++)
		if (parts[i].place)
			munmap((void *)(uintptr_t)parts[i].place, parts[i].size);
	if (file >= 0)
		close(file);
	munmap(header, size);
	return status;
}
