#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "live.h"

/* A transaction, in memory of our own. */
struct transaction {
	size_t size;
	struct live_transaction *header;
	struct live_span *spans;
	struct live_word *words;
	struct live_half *halves;
	char *record;
	int code; /* /proc/self/mem, or -1: halves are stored directly */
	enum live_status status;
	uint64_t position;
};

/* What the last commit left, for a daemon that comes later and for children made by fork(2). */
static struct {
	char *data;
	size_t size;
} record;

static bool copy_out(int sheet, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(sheet, (char *)data + done, size - done, (off_t)done);
		if (got <= 0 && !(got < 0 && errno == EINTR))
			return false;
		done += got > 0 ? (size_t)got : 0;
	}
	return true;
}

void *live_take_sheet(int sheet, size_t least, size_t *size)
{
	struct stat info;
	if (fstat(sheet, &info) != 0 || info.st_size < (off_t)least)
		return NULL;
	*size = (size_t)info.st_size;
	void *copy = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return NULL;
	if (copy_out(sheet, copy, *size))
		return copy;
	munmap(copy, *size);
	return NULL;
}

static enum live_status take_transaction(int sheet, struct transaction *transaction)
{
	size_t size;
	void *copy = live_take_sheet(sheet, sizeof(struct live_transaction), &size);
	if (!copy)
		return LIVE_NO_MEMORY;
	transaction->size = size;
	transaction->header = copy;
	const struct live_transaction *header = copy;
	transaction->spans = (struct live_span *)(transaction->header + 1);
	transaction->words = (struct live_word *)(transaction->spans + header->spans);
	transaction->halves = (struct live_half *)(transaction->words + header->words);
	transaction->record = (char *)(transaction->halves + header->halves);
	return transaction->record + header->record_size == (char *)copy + size ? LIVE_DONE : LIVE_MALFORMED;
}

/* Compare memory with what is expected; an address that is not mapped is an answer and no crash
 * (process_vm_readv(2) on our own thread: the process's first one may have ended). */
static enum live_status check(uint64_t address, const void *expected, size_t size)
{
	char now[sizeof(uint64_t)];
	struct iovec here = {now, size}, there = {(void *)(uintptr_t)address, size};
	if (process_vm_readv(gettid(), &here, 1, &there, 1, 0) != (ssize_t)size)
		return LIVE_NOT_MAPPED;
	return memcmp(now, expected, size) == 0 ? LIVE_DONE : LIVE_WORD_CHANGED;
}

static enum live_status check_all(struct transaction *transaction)
{
	const struct live_transaction *header = transaction->header;
	enum live_status status = LIVE_DONE;
	for (uint32_t i = 0; i < header->words && status == LIVE_DONE; i++) {
		const struct live_word *word = &transaction->words[i];
		transaction->position = i;
		status = word->address % sizeof word->value != 0
				 ? LIVE_MALFORMED
				 : check(word->address, &word->expected, sizeof word->expected);
	}
	for (uint32_t i = 0; i < header->halves && status == LIVE_DONE; i++) {
		const struct live_half *half = &transaction->halves[i];
		transaction->position = header->words + i;
		status = check(half->address, &half->expected, sizeof half->expected);
	}
	return status;
}

/* Make the spans writable, or give the first `count` of them their protection back. */
static bool open_spans(const struct transaction *transaction, uint32_t *count)
{
	for (*count = 0; *count < transaction->header->spans; ++*count) {
		const struct live_span *span = &transaction->spans[*count];
		if (mprotect((void *)(uintptr_t)span->start, span->size, PROT_READ | PROT_WRITE) != 0)
			return false;
	}
	return true;
}

static bool close_spans(const struct transaction *transaction, uint32_t count)
{
	bool closed = true;
	for (uint32_t i = 0; i < count; i++) {
		const struct live_span *span = &transaction->spans[i];
		char *start = (char *)(uintptr_t)span->start;
		closed &= mprotect(start, span->size, (int)span->protection) == 0;
		if (span->protection & PROT_EXEC)
			__builtin___clear_cache(start, start + span->size);
	}
	return closed;
}

static bool exchange(const struct live_word *word, uint64_t from, uint64_t to)
{
	uint64_t *place = (uint64_t *)(uintptr_t)word->address;
	return __atomic_compare_exchange_n(place, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool store_half(const struct transaction *transaction, const struct live_half *half)
{
	if (transaction->code < 0) {
		memcpy((void *)(uintptr_t)half->address, &half->value, sizeof half->value);
		return true;
	}
	return pwrite(transaction->code, &half->value, sizeof half->value, (off_t)half->address) == sizeof half->value;
}

/* Code first, then words; a word that changed since it was checked takes all earlier ones back. */
static enum live_status apply(struct transaction *transaction)
{
	const struct live_transaction *header = transaction->header;
	for (uint32_t i = 0; i < header->halves; i++)
		if (!store_half(transaction, &transaction->halves[i]))
			return LIVE_NOT_MAPPED;
	for (uint32_t i = 0; i < header->words; i++) {
		const struct live_word *word = &transaction->words[i];
		if (exchange(word, word->expected, word->value))
			continue;
		transaction->position = i;
		while (i-- > 0) {
			word = &transaction->words[i];
			exchange(word, word->value, word->expected);
		}
		return LIVE_WORD_CHANGED;
	}
	return LIVE_DONE;
}

/* Runs under the lock of dl_iterate_phdr(3), so that no object can be unmapped while it is written to. */
static int commit_locked(struct dl_phdr_info *info, size_t size, void *context)
{
	struct transaction *transaction = context;
	const struct live_transaction *header = transaction->header;
	uint32_t opened = 0;
	(void)size;
	if (info->dlpi_adds != header->added || info->dlpi_subs != header->removed) {
		transaction->status = LIVE_OBJECTS_CHANGED;
		return 1;
	}
	transaction->status = check_all(transaction);
	if (transaction->status != LIVE_DONE)
		return 1;
	bool writable = open_spans(transaction, &opened);
	transaction->status = writable ? apply(transaction) : LIVE_NOT_MAPPED;
	if (!close_spans(transaction, opened))
		transaction->status = LIVE_NOT_MAPPED;
	return 1;
}

/* The record outlives the transaction: it keeps a mapping of its own. */
static char *copy_record(const struct transaction *transaction)
{
	size_t size = transaction->header->record_size;
	char *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return copy == MAP_FAILED ? NULL : memcpy(copy, transaction->record, size);
}

static void replace_record(char *data, size_t size)
{
	if (record.data)
		munmap(record.data, record.size);
	record.data = data;
	record.size = size;
}

enum live_status live_commit(int sheet, uint64_t *position)
{
	struct transaction transaction = {.code = -1};
	char *next_record = NULL;
	transaction.status = take_transaction(sheet, &transaction);
	if (transaction.status == LIVE_DONE && transaction.header->record_size > 0 &&
	    !(next_record = copy_record(&transaction)))
		transaction.status = LIVE_NO_MEMORY;
	if (transaction.status == LIVE_DONE && transaction.header->flags & LIVE_THROUGH_PROC) {
		transaction.code = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
		if (transaction.code < 0)
			transaction.status = LIVE_NOT_MAPPED;
	}
	if (transaction.status == LIVE_DONE)
		dl_iterate_phdr(commit_locked, &transaction);
	if (transaction.code >= 0)
		close(transaction.code);
	if (next_record && transaction.status == LIVE_DONE)
		replace_record(next_record, transaction.header->record_size);
	else if (next_record)
		munmap(next_record, transaction.header->record_size);
	if (transaction.header)
		munmap(transaction.header, transaction.size);
	*position = transaction.position;
	return transaction.status;
}

enum live_status live_commit_recall(int sheet, uint64_t *size)
{
	*size = record.size;
	return pwrite(sheet, record.data, record.size, 0) == (ssize_t)record.size ? LIVE_DONE : LIVE_NO_MEMORY;
}
