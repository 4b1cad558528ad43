/* The kernel's calls without the C library's functions of these names: a program may have others in their place
 * (sanitizers, tracers, sockets through a proxy), which look at the memory and the descriptors that they are handed,
 * and end it for what they do not know. For the same reason memory is copied and compared here. All of these set errno.
 */
#ifndef LIVE_SYSTEM_H
#define LIVE_SYSTEM_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static inline int live_open(const char *path, int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

static inline int live_close(int descriptor)
{
	return (int)syscall(SYS_close, descriptor);
}

static inline bool live_is_open(int descriptor)
{
	return syscall(SYS_fcntl, descriptor, F_GETFD) >= 0;
}

static inline ssize_t live_read(int file, void *data, size_t size)
{
	return syscall(SYS_read, file, data, size);
}

static inline ssize_t live_write(int file, const void *data, size_t size)
{
	return syscall(SYS_write, file, data, size);
}

static inline ssize_t live_read_at(int file, void *data, size_t size, off_t offset)
{
	return syscall(SYS_pread64, file, data, size, offset);
}

static inline ssize_t live_write_at(int file, const void *data, size_t size, off_t offset)
{
	return syscall(SYS_pwrite64, file, data, size, offset);
}

/* MAP_FAILED and errno where that cannot be. Anonymous memory without a file (-1). */
static inline void *live_map(size_t size, int protection, int file, off_t offset)
{
	long flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE;
	return (void *)syscall(SYS_mmap, NULL, size, (long)protection, flags, (long)file, offset);
}

static inline void live_unmap(void *start, size_t size)
{
	syscall(SYS_munmap, start, size);
}

static inline bool live_protect(uint64_t start, uint64_t size, int protection)
{
	return syscall(SYS_mprotect, start, size, (long)protection) == 0;
}

/* Read or write (SYS_process_vm_readv, SYS_process_vm_writev) memory of this process: an address that is not there is
 * an answer and no crash. By our own thread: the process's first one may have ended. */
static inline bool live_reach(long call, void *here, uint64_t address, size_t size)
{
	struct iovec local = {here, size}, remote = {(void *)(uintptr_t)address, size};
	ssize_t done = syscall(call, (long)gettid(), &local, 1L, &remote, 1L, 0L);
	if (done < 0 && errno == ENOSYS) { /* an emulator, or a kernel without these */
		bool reads = call == SYS_process_vm_readv;
		int memory = live_open("/proc/self/mem", reads ? O_RDONLY : O_RDWR);
		done = reads ? live_read_at(memory, here, size, (off_t)address)
			     : live_write_at(memory, here, size, (off_t)address);
		live_close(memory);
	}
	return done == (ssize_t)size;
}

/* As mempcpy(3). */
static inline void *live_copy(void *to, const void *from, size_t size)
{
	char *target = to;
	for (const char *source = from; size > 0; size--)
		*target++ = *source++;
	return target;
}

static inline bool live_same(const void *one, const void *other, size_t size)
{
	struct word {
		uint64_t value;
	} __attribute__((packed, may_alias));
	const char *left = one, *right = other;
	for (; size >= sizeof(struct word); size -= sizeof(struct word)) {
		if (((const struct word *)left)->value != ((const struct word *)right)->value)
			return false;
		left += sizeof(struct word);
		right += sizeof(struct word);
	}
	while (size > 0 && *left == *right)
		size--, left++, right++;
	return size == 0;
}

/* As strnlen(3); 0 for NULL. */
static inline size_t live_length(const char *text, size_t limit)
{
	size_t size = 0;
	while (text && size < limit && text[size])
		size++;
	return size;
}

#endif
