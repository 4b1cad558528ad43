#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>

#include "live.h"
#include "system.h"

/* Where the list goes: to a sheet, or to memory of `size` bytes. */
struct listing {
	int sheet;
	char *memory;
	uint64_t size, count, bytes, added, removed;
	bool failed;
};

/* Write all of it; a bad address is an error (EFAULT) and no crash. */
static bool put(int sheet, const void *data, size_t size, uint64_t offset)
{
	while (size > 0) {
		ssize_t written = live_write_at(sheet, data, size, (off_t)offset);
		if (written <= 0) {
			if (written < 0 && errno == EINTR)
				continue;
			return false;
		}
		data = (const char *)data + written;
		size -= (size_t)written;
		offset += (uint64_t)written;
	}
	return true;
}

static bool put_down(const struct listing *listing, const void *data, size_t size, uint64_t offset)
{
	if (!listing->memory)
		return put(listing->sheet, data, size, offset);
	if (offset > listing->size || size > listing->size - offset)
		return false;
	live_copy(listing->memory + offset, data, size);
	return true;
}

static int list_object(struct dl_phdr_info *info, size_t size, void *context)
{
	struct listing *listing = context;
	struct live_object object = {
		.base = info->dlpi_addr,
		.headers = (uintptr_t)info->dlpi_phdr,
		.tls_block = (uintptr_t)info->dlpi_tls_data,
		.tls_module = (uint32_t)info->dlpi_tls_modid,
		.header_count = info->dlpi_phnum,
		.name_size = (uint16_t)live_length(info->dlpi_name, LIVE_PATH_SIZE),
	};
	(void)size;
	listing->added = info->dlpi_adds;
	listing->removed = info->dlpi_subs;
	listing->failed = !put_down(listing, &object, sizeof object, listing->bytes) ||
			  !put_down(listing, info->dlpi_name, object.name_size, listing->bytes + sizeof object);
	listing->count++;
	listing->bytes += sizeof object + object.name_size;
	return listing->failed;
}

static void list_objects(struct live_message *message, struct listing listing)
{
	dl_iterate_phdr(list_object, &listing);
	message->status = listing.failed ? LIVE_NO_MEMORY : LIVE_DONE;
	message->argument[0] = listing.count;
	message->argument[1] = listing.bytes;
	message->argument[2] = listing.added;
	message->argument[3] = listing.removed;
}

__attribute__((visibility("default"))) void live_list(struct live_message *message, char *memory, uint64_t size)
{
	list_objects(message, (struct listing){.memory = memory, .size = size});
}

static void read_memory(struct live_message *message, int sheet)
{
	uint64_t count = message->argument[0];
	for (uint64_t i = 0; i < count; i++) {
		struct live_range range;
		message->argument[0] = i;
		if (live_read_at(sheet, &range, sizeof range, (off_t)(i * sizeof range)) != sizeof range) {
			message->status = LIVE_NO_MEMORY;
			return;
		}
		if (!put(sheet, (const void *)(uintptr_t)range.address, range.size, range.offset)) {
			message->status = errno == EFAULT ? LIVE_NOT_MAPPED : LIVE_NO_MEMORY;
			return;
		}
	}
	message->argument[0] = count;
}

/* An emulator shows a process what it knows of its memory, and the kernel what it made of that. */
static uint64_t copy_map(struct live_message *message, int sheet)
{
	char part[1024];
	uint64_t bytes = 0;
	ssize_t size = -1;
	int map = live_open("/proc/self/maps", O_RDONLY);
	while (map >= 0 && (size = live_read(map, part, sizeof part)) > 0 && put(sheet, part, (size_t)size, bytes))
		bytes += (uint64_t)size;
	message->status = size == 0 ? LIVE_DONE : LIVE_NO_MEMORY;
	if (map >= 0)
		live_close(map);
	return bytes;
}

/* What is asked for is what is given, or nothing: MAP_FIXED would take the place of what somebody else has mapped. */
static void make_room(struct live_message *message)
{
	uint64_t start = message->argument[0], size = message->argument[1];
	long found = syscall(SYS_mmap, start, size, (long)(PROT_READ | PROT_EXEC), (long)(MAP_PRIVATE | MAP_ANONYMOUS),
			     -1L, 0L);
	if (found != -1 && (uint64_t)found != start) {
		live_unmap((void *)found, size);
		errno = EEXIST;
		found = -1;
	}
	message->status = found == -1 ? LIVE_NO_MEMORY : LIVE_DONE;
}

static void tell_loader_error(struct live_message *message)
{
	const char *reason = dlerror();
	message->status = LIVE_NOT_OPENED;
	message->text_size = (uint32_t)live_length(reason, LIVE_TEXT_SIZE);
	live_copy(message->text, reason, message->text_size);
}

/* The agent's descriptor table holds its own few entries only; anything else was opened by an initialiser. */
static int count_descriptors(void)
{
	int count = 0;
	for (int number = 0; number < 64; number++)
		count += live_is_open(number);
	return count;
}

static void open_library(struct live_message *message)
{
	int before = count_descriptors();
	live_lend_standard_streams(true);
	struct link_map *map = dlopen(message->text, (int)message->argument[0]);
	live_lend_standard_streams(false);
	message->text_size = 0;
	if (!map) {
		tell_loader_error(message);
		return;
	}
	message->argument[0] = (uintptr_t)map;
	message->argument[1] = map->l_addr;
	if (count_descriptors() != before) {
		message->status = LIVE_DESCRIPTORS_LEFT;
		dlclose(map);
	}
}

static void close_library(struct live_message *message)
{
	if (dlclose((void *)(uintptr_t)message->argument[0]) != 0)
		tell_loader_error(message);
}

static void resolve_symbol(struct live_message *message)
{
	void *handle = (void *)(uintptr_t)message->argument[0];
	const char *version = message->text + live_length(message->text, message->text_size) + 1;
	message->text_size = 0;
	dlerror();
	void *address = *version ? dlvsym(handle, message->text, version) : dlsym(handle, message->text);
	message->argument[0] = (uintptr_t)address;
	if (!address)
		tell_loader_error(message);
}

/* What touches the loader's data or locks must not be under way in a fork: glibc does not set all of them right in
 * the child. Whoever forks inside a constructor holds the loader's lock; it is waited for before ours is taken. */
static void exclude_forks(void)
{
	void *program = dlopen(NULL, RTLD_LAZY);
	if (program)
		dlclose(program);
	pthread_mutex_lock(&live_work_lock);
}

/* False where the request has not what it needs. */
static bool is_complete(const struct live_message *message, int sheet)
{
	bool needs_sheet = message->kind == LIVE_LIST || message->kind == LIVE_READ || message->kind == LIVE_COMMIT ||
			   message->kind == LIVE_RECALL || message->kind == LIVE_CARRY || message->kind == LIVE_MAP;
	bool needs_text = message->kind == LIVE_OPEN || message->kind == LIVE_RESOLVE || message->kind == LIVE_CARRY;
	return !(needs_sheet && sheet < 0) &&
	       !(needs_text && (message->text_size == 0 || message->text[message->text_size - 1] != 0));
}

/* Why a request that found no memory, file or place was not carried out. */
static void explain(struct live_message *message)
{
	if (message->status != LIVE_NO_MEMORY && message->status != LIVE_NO_FILE && message->status != LIVE_NOT_MAPPED)
		return;
	message->argument[3] = (uint64_t)errno;
	if (errno == EMFILE)
		message->status = LIVE_NO_DESCRIPTOR;
}

bool live_work(struct live_message *message, int sheet)
{
	message->status = sheet == LIVE_SHEET_DROPPED	? LIVE_NO_DESCRIPTOR
			  : is_complete(message, sheet) ? LIVE_DONE
							: LIVE_MALFORMED;
	if (message->status != LIVE_DONE) {
		message->text_size = 0;
		return true;
	}
	bool uses_loader = message->kind != LIVE_READ && message->kind != LIVE_RECALL && message->kind != LIVE_SAY &&
			   message->kind != LIVE_CARRY && message->kind != LIVE_MAP;
	bool stay = true;
	if (uses_loader)
		exclude_forks();
	errno = 0;
	switch (message->kind) {
	case LIVE_LIST:
		list_objects(message, (struct listing){.sheet = sheet});
		break;
	case LIVE_READ:
		read_memory(message, sheet);
		break;
	case LIVE_OPEN:
		open_library(message);
		break;
	case LIVE_CLOSE:
		close_library(message);
		break;
	case LIVE_RESOLVE:
		resolve_symbol(message);
		break;
	case LIVE_COMMIT:
		message->status = live_commit(sheet, &message->argument[0], &message->argument[1]);
		break;
	case LIVE_RECALL:
		message->status = live_commit_recall(sheet, &message->argument[0]);
		break;
	case LIVE_SAY:
		live_report(message->text, message->text_size);
		message->text_size = 0;
		break;
	case LIVE_CARRY:
		message->status = live_carry(sheet, message->text, &message->argument[0]);
		message->text_size = 0;
		break;
	case LIVE_MAP:
		message->argument[0] = copy_map(message, sheet);
		break;
	case LIVE_ROOM:
		make_room(message);
		break;
	case LIVE_LEAVE:
		stay = false;
		break;
	default:
		message->status = LIVE_MALFORMED;
		message->text_size = 0;
	}
	explain(message);
	if (uses_loader)
		pthread_mutex_unlock(&live_work_lock);
	return stay;
}

void live_work_undelivered(const struct live_message *message)
{
	if (message->kind != LIVE_OPEN || message->status != LIVE_DONE)
		return;
	exclude_forks();
	dlclose((void *)(uintptr_t)message->argument[0]);
	pthread_mutex_unlock(&live_work_lock);
}
