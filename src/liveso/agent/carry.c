#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>

#include "live.h"
#include "system.h"

enum { PAGE = 4096 };

#ifdef __x86_64__
static const unsigned char breakpoint[] = {0xcc}; /* int3 */
#elif defined __aarch64__
static const unsigned char breakpoint[] = {0xa0, 0x00, 0x20, 0xd4}; /* brk #5 (BRK64_OPCODE_UPROBES) */
#elif defined __riscv
static const unsigned char breakpoint[] = {0x02, 0x90}; /* c.ebreak (UPROBE_SWBP_INSN) */
#endif

/* A breakpoint that the kernel has set (uprobes) belongs to the first file: in a copy of its page it would end the
 * program. A debugger's is not here: then the threads could not have been stopped. */
static void leave_out_probes(char *now, const char *file)
{
	for (size_t i = 0; i < PAGE; i += sizeof breakpoint)
		if (live_same(&now[i], breakpoint, sizeof breakpoint))
			live_copy(&now[i], &file[i], sizeof breakpoint);
}

/* Let the new mapping hold what the old one holds in the page at `at`: its own copy, where that is not the file's. */
static enum live_status keep_page(const struct live_part *part, uint64_t at, int file, bool *is_writable)
{
	static char now[PAGE], then[PAGE];
	ssize_t size = live_read_at(file, then, PAGE, (off_t)(part->offset + at));
	if (size < 0)
		return LIVE_NO_FILE;
	while (size < PAGE)
		then[size++] = 0;
	if (!live_reach(SYS_process_vm_readv, now, part->address + at, PAGE))
		return part->protection == PROT_NONE ? LIVE_DONE : LIVE_NOT_MAPPED;
	if (part->protection & PROT_EXEC)
		leave_out_probes(now, then);
	if (live_same(now, then, PAGE))
		return LIVE_DONE;
	if (!*is_writable && !live_protect(part->place, part->size, PROT_READ | PROT_WRITE))
		return LIVE_NO_FILE;
	*is_writable = true;
	return live_reach(SYS_process_vm_writev, now, part->place + at, PAGE) ? LIVE_DONE : LIVE_NOT_MAPPED;
}

/* Map the part anew, at another place, with its content and protection. Code that is as in the file is never writable.
 */
static enum live_status prepare(struct live_part *part, int file)
{
	enum live_status status = LIVE_DONE;
	bool is_writable = false;
	void *place = live_map(part->size, (int)part->protection, file, (off_t)part->offset);
	if (place == MAP_FAILED)
		return LIVE_NO_FILE;
	part->place = (uintptr_t)place;
	if (part->protection & PROT_WRITE)
		is_writable = true;
	for (uint64_t at = 0; at < part->size && status == LIVE_DONE; at += PAGE)
		status = keep_page(part, at, file, &is_writable);
	if (status == LIVE_DONE && is_writable && !live_protect(part->place, part->size, (int)part->protection))
		status = LIVE_NO_FILE;
	return status;
}

/* Whether somebody still holds the other threads. */
static bool is_held(int sheet)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return syscall(SYS_fcntl, sheet, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static bool tell(int sheet, off_t word)
{
	uint32_t yes = 1;
	return live_write_at(sheet, &yes, sizeof yes, word) == sizeof yes;
}

/* From here on the threads are held until all is done; false: they are not any more. */
static bool begin(int sheet)
{
	uint32_t withdrawn = 1;
	return tell(sheet, offsetof(struct live_carry, begun)) &&
	       live_read_at(sheet, &withdrawn, sizeof withdrawn, offsetof(struct live_carry, withdrawn)) ==
		       sizeof withdrawn &&
	       !withdrawn && is_held(sheet);
}

static bool move_there(const struct live_part *part)
{
	return syscall(SYS_mremap, part->place, part->size, part->size, (long)(MREMAP_MAYMOVE | MREMAP_FIXED),
		       part->address) == (long)part->address;
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
	int file = live_open(path, O_RDONLY);
	if (file < 0)
		status = LIVE_NO_FILE;
	for (uint32_t i = 0; i < count && status == LIVE_DONE; i++)
		status = prepare(&parts[i], file);
	if (status == LIVE_DONE && !begin(sheet))
		status = LIVE_WITHDRAWN;
	for (uint32_t i = 0; i < count && status == LIVE_DONE; i++) {
		if (!is_held(sheet))
			status = LIVE_WITHDRAWN;
		else if (move_there(&parts[i]))
			parts[i].place = 0;
		else
			status = LIVE_NOT_MAPPED;
	}
	*failure = (uint64_t)errno;
	for (uint32_t i = 0; i < count; i++)
		if (parts[i].place)
			live_unmap((void *)(uintptr_t)parts[i].place, parts[i].size);
	if (file >= 0)
		live_close(file);
	live_unmap(header, size);
	tell(sheet, offsetof(struct live_carry, done));
	return status;
}

/* What follows is for a visit, in which no other thread runs: it has no lock on a sheet, and what must be copied is
 * copied by the daemon. */

/* Map each part anew, at another place. Returns errno, or 0. */
__attribute__((visibility("default"))) uint64_t live_map_parts(const char *path, struct live_part *parts,
							       uint64_t count)
{
	int file = count > 0 ? live_open(path, O_RDONLY) : -1;
	uint64_t failure = count > 0 && file < 0 ? (uint64_t)errno : 0;
	for (uint64_t i = 0; i < count && failure == 0; i++) {
		void *place = live_map(parts[i].size, (int)parts[i].protection, file, (off_t)parts[i].offset);
		parts[i].place = place == MAP_FAILED ? 0 : (uintptr_t)place;
		failure = place == MAP_FAILED ? (uint64_t)errno : 0;
	}
	if (file >= 0)
		live_close(file);
	for (uint64_t i = 0; i < count && failure != 0; i++)
		if (parts[i].place)
			live_unmap((void *)(uintptr_t)parts[i].place, parts[i].size);
	return failure;
}

/* Let each part take its place. Returns errno, or 0. */
__attribute__((visibility("default"))) uint64_t live_move_parts(const struct live_part *parts, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (!move_there(&parts[i]))
			return (uint64_t)errno;
	return 0;
}
