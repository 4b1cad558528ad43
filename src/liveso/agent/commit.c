#define _GNU_SOURCE
#include <errno.h>
#include <link.h>

#include "live.h"
#include "system.h"

/* A transaction, in memory of our own. */
struct transaction {
	size_t size;
	struct live_transaction *header;
	struct live_span *spans;
	struct live_word *words;
	struct live_half *halves;
	struct live_record *record; /* of its own: it outlives the transaction */
	int code;		    /* /proc/self/mem, or -1: halves are stored directly */
	enum live_status status;
	uint64_t position;
	bool left_open;
};

static bool copy_out(int sheet, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = live_read_at(sheet, (char *)data + done, size - done, (off_t)done);
		if (got <= 0 && !(got < 0 && errno == EINTR))
			return false;
		done += got > 0 ? (size_t)got : 0;
	}
	return true;
}

void *live_take_sheet(int sheet, size_t least, size_t *size)
{
	struct stat info;
	if (syscall(SYS_fstat, sheet, &info) != 0 || info.st_size < (off_t)least)
		return NULL;
	*size = (size_t)info.st_size;
	void *copy = live_map(*size, PROT_READ | PROT_WRITE, -1, 0);
	if (copy == MAP_FAILED)
		return NULL;
	if (copy_out(sheet, copy, *size))
		return copy;
	live_unmap(copy, *size);
	return NULL;
}

/* The record that the transaction leaves; NULL where there is no memory. */
static struct live_record *copy_record(const char *data, size_t size)
{
	struct live_record *copy = live_map(sizeof *copy + size, PROT_READ | PROT_WRITE, -1, 0);
	if (copy == MAP_FAILED)
		return NULL;
	copy->size = size;
	live_copy(copy->data, data, size);
	return copy;
}

static void forget_record(struct live_record *it)
{
	if (it)
		live_unmap(it, sizeof *it + it->size);
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
	const char *data = (const char *)(transaction->halves + header->halves);
	if (data + header->record_size != (char *)copy + size)
		return LIVE_MALFORMED;
	if (header->record_size > 0 && !(transaction->record = copy_record(data, header->record_size)))
		return LIVE_NO_MEMORY;
	if (header->flags & LIVE_THROUGH_PROC && (transaction->code = live_open("/proc/self/mem", O_RDWR)) < 0)
		return LIVE_NOT_MAPPED;
	return LIVE_DONE;
}

/* Compare memory with what is expected. */
static enum live_status check(uint64_t address, const void *expected, size_t size)
{
	char now[sizeof(uint64_t)];
	if (!live_reach(SYS_process_vm_readv, now, address, size))
		return LIVE_NOT_MAPPED;
	return live_same(now, expected, size) ? LIVE_DONE : LIVE_WORD_CHANGED;
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

/* Make the spans writable; code stays executable, for some of it may be in use. */
static bool open_spans(const struct transaction *transaction, uint32_t *count)
{
	for (*count = 0; *count < transaction->header->spans; ++*count) {
		const struct live_span *span = &transaction->spans[*count];
		if (!live_protect(span->start, span->size,
				  (int)(span->protection & PROT_EXEC) | PROT_READ | PROT_WRITE))
			return false;
	}
	return true;
}

/* Give the first `count` spans their protection back. */
static bool close_spans(const struct transaction *transaction, uint32_t count)
{
	bool closed = true;
	for (uint32_t i = 0; i < count; i++) {
		const struct live_span *span = &transaction->spans[i];
		char *start = (char *)(uintptr_t)span->start;
		closed &= live_protect(span->start, span->size, (int)span->protection);
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

static bool store_half(const struct transaction *transaction, uint64_t address, uint32_t value)
{
	if (transaction->code < 0) {
		live_copy((void *)(uintptr_t)address, &value, sizeof value);
		return true;
	}
	return live_write_at(transaction->code, &value, sizeof value, (off_t)address) == sizeof value;
}

/* Give the first so many halves and words their old values back. */
static void take_back(const struct transaction *transaction, uint32_t halves, uint32_t words)
{
	while (words-- > 0) {
		const struct live_word *word = &transaction->words[words];
		exchange(word, word->value, word->expected);
	}
	while (halves-- > 0)
		store_half(transaction, transaction->halves[halves].address, transaction->halves[halves].expected);
}

/* Code first, which nothing executes yet, then words, which the program sees from the first one on. */
static enum live_status apply(struct transaction *transaction)
{
	const struct live_transaction *header = transaction->header;
	for (uint32_t i = 0; i < header->halves; i++)
		if (!store_half(transaction, transaction->halves[i].address, transaction->halves[i].value)) {
			take_back(transaction, i, 0);
			return LIVE_NOT_MAPPED;
		}
	for (uint32_t i = 0; i < header->words; i++) {
		const struct live_word *word = &transaction->words[i];
		if (exchange(word, word->expected, word->value))
			continue;
		transaction->position = i;
		take_back(transaction, header->halves, i);
		return i > 0 ? LIVE_TAKEN_BACK : LIVE_WORD_CHANGED;
	}
	return LIVE_DONE;
}

/* Runs under the lock of dl_iterate_phdr(3), so that no object can be unmapped while it is written to. From the last
 * word on the transaction is in force, whatever comes: then its record is the target's. */
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
	transaction->status = open_spans(transaction, &opened) ? apply(transaction) : LIVE_NOT_MAPPED;
	if (transaction->status == LIVE_DONE && transaction->record)
		transaction->record = __atomic_exchange_n(&live_area.record, transaction->record, __ATOMIC_SEQ_CST);
	transaction->left_open = !close_spans(transaction, opened);
	return 1;
}

enum live_status live_commit(int sheet, uint64_t *position, uint64_t *left_open)
{
	struct transaction transaction = {.code = -1};
	transaction.status = take_transaction(sheet, &transaction);
	if (transaction.status == LIVE_DONE)
		dl_iterate_phdr(commit_locked, &transaction);
	if (transaction.code >= 0)
		live_close(transaction.code);
	forget_record(transaction.record);
	if (transaction.header)
		live_unmap(transaction.header, transaction.size);
	*position = transaction.position;
	*left_open = transaction.left_open;
	return transaction.status;
}

enum live_status live_commit_recall(int sheet, uint64_t *size)
{
	const struct live_record *record = live_area.record;
	*size = record ? record->size : 0;
	return !record || live_write_at(sheet, record->data, record->size, 0) == (ssize_t)record->size ? LIVE_DONE
												       : LIVE_NO_MEMORY;
}
