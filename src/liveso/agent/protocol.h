/* The messages between the agent and the daemon: one SOCK_SEQPACKET record each, one request at a time. A reply has its
 * request's number.
 *
 * Bulk data never travels in a message: it lies on a sheet, a memfd that the daemon makes and passes along
 * (SCM_RIGHTS, unix(7)). All numbers are in the target's byte order. process/protocol.py is this file's twin;
 * tests/unit/test_protocol.py holds the two together.
 */
#ifndef LIVE_PROTOCOL_H
#define LIVE_PROTOCOL_H

#include <stdint.h>

enum { LIVE_PROTOCOL = 3, LIVE_TEXT_SIZE = 8192, LIVE_AREA = 1, LIVE_SOCKET_SIZE = 112, LIVE_STACK_SIZE = 262144 };

enum live_kind {
	LIVE_HELLO = 1,	  /* agent: argument = protocol, thread ID, address of malloc, thread pointer; text = LIVE_*
			     settings. Without a thread: the process is there to be visited, and sends nothing more */
	LIVE_LIST = 2,	  /* objects onto the sheet; reply: argument = count, bytes, objects ever added, ever removed */
	LIVE_READ = 3,	  /* argument = number of live_range on the sheet; memory goes to their offsets */
	LIVE_OPEN = 4,	  /* argument = dlopen(3) mode; text = path; reply: argument = handle, load address */
	LIVE_CLOSE = 5,	  /* argument = handle */
	LIVE_RESOLVE = 6, /* argument = handle; text = name, NUL, version or nothing, NUL; reply: argument = address */
	LIVE_COMMIT = 7,  /* a live_transaction on the sheet; reply: argument = index of the word that was not as
			     expected, whether pages did not get their protection back */
	LIVE_RECALL = 8,  /* the record of the last commit onto the sheet; reply: argument = its bytes */
	LIVE_SAY = 9,	  /* text = a line for the program's standard error */
	LIVE_LEAVE = 10,  /* the agent's thread ends */
	LIVE_CARRY = 11,  /* text = path of a file; a live_carry on the sheet; no other thread runs meanwhile */
	LIVE_MAP = 12,	  /* the memory map onto the sheet, as the process sees it (proc(5)); reply: argument = bytes */
	LIVE_ROOM = 13,	  /* argument = address, bytes: memory for code, which nobody has yet */
};

enum live_status {
	LIVE_DONE = 0,
	LIVE_MALFORMED = 1,	   /* the request is not one that this agent knows */
	LIVE_OBJECTS_CHANGED = 2,  /* objects came or went since the list that the transaction was planned on */
	LIVE_WORD_CHANGED = 3,	   /* a word does not hold what the transaction expects; nothing was stored */
	LIVE_NOT_MAPPED = 4,	   /* a range of memory is not there, or may not be made writable */
	LIVE_NOT_OPENED = 5,	   /* dlopen(3) or dlsym(3) failed; text = dlerror(3) */
	LIVE_DESCRIPTORS_LEFT = 6, /* an initialiser opened descriptors, which the program would not see */
	LIVE_NO_MEMORY = 7,	   /* no memory, or the sheet could not be read or written; last argument = errno */
	LIVE_NO_FILE = 8,	   /* a file cannot be opened, read or mapped; argument = errno */
	LIVE_WITHDRAWN = 9,	   /* the daemon took its request back, or nobody holds the other threads any more */
	LIVE_TAKEN_BACK = 10, /* as LIVE_WORD_CHANGED, after words were stored: these have their old values again, but
				 a thread may have seen the new ones */
	LIVE_NO_DESCRIPTOR = 11, /* the program may not have so many descriptors (RLIMIT_NOFILE) */
};

struct live_message {
	uint32_t kind;
	uint32_t status;
	uint64_t argument[4];
	uint32_t text_size;
	uint32_t number; /* of the request: what an agent before protocol 3 gives back, too */
	char text[LIVE_TEXT_SIZE];
};

/* One loaded object (dl_iterate_phdr(3)); its name follows without a NUL. */
struct live_object {
	uint64_t base;
	uint64_t headers;
	uint64_t tls_block;
	uint32_t tls_module;
	uint16_t header_count;
	uint16_t name_size;
};

/* Memory to read: size bytes at address go to offset of the sheet. */
struct live_range {
	uint64_t address;
	uint64_t size;
	uint64_t offset;
};

/* A transaction: this header, then its spans, words, halves and the record, one after another. */
struct live_transaction {
	uint64_t added;
	uint64_t removed;
	uint32_t flags;
	uint32_t spans;
	uint32_t words;
	uint32_t halves;
	uint32_t record_size;
	uint32_t unused;
};

enum { LIVE_THROUGH_PROC = 1 }; /* flags: write halves through /proc/self/mem, their pages stay as they are */

/* Pages that must be writable while the transaction is applied, and get `protection` (mmap(2)) back afterwards. */
struct live_span {
	uint64_t start;
	uint64_t size;
	uint32_t protection;
	uint32_t unused;
};

/* An aligned word in use by the program: exchanged atomically. */
struct live_word {
	uint64_t address;
	uint64_t expected;
	uint64_t value;
};

/* Four bytes, of any alignment, in code that nothing executes yet. */
struct live_half {
	uint64_t address;
	uint32_t expected;
	uint32_t value;
};

/* Mappings that are to be laid onto another file: this header, then its parts. Each side writes its word before it
 * reads the other's: so either the agent sees that it may not begin any more, or who holds the threads sees that it has
 * begun. As long as he holds them he has a lock on the sheet (fcntl(2)), which his death takes from him before it lets
 * them go. */
struct live_carry {
	uint32_t withdrawn; /* by who holds the other threads: they run again */
	uint32_t begun;	    /* by the agent: it goes through with it */
	uint32_t parts;
	uint32_t done; /* by the agent, after it has begun */
};

/* A mapping (mmap(2)), and where its content lies in the file. `place` is the agent's own. */
struct live_part {
	uint64_t address;
	uint64_t size;
	uint64_t offset;
	uint64_t place;
	uint32_t protection;
	uint32_t unused;
};

/* What the last commit left, for a daemon that comes later and for children made by fork(2). */
struct live_record {
	uint64_t size;
	char data[];
};

/* How a process is served: what `mode` of its area says. */
enum live_mode {
	LIVE_VISITED = 0,  /* a daemon visits it: nothing of live.so's runs there */
	LIVE_LEFT = 1,	   /* as a daemon was told: it is left alone */
	LIVE_RESIDENT = 2, /* live.so has a thread there, which connects to the daemon */
	LIVE_UNLIKE = 3,   /* it had, which has ended: what that might do was not what the program's first one may */
};

/* What a daemon finds in live.so (symbol live_area) where it visits the process. A thread of the program makes calls
 * for it, which it holds meanwhile, on a stack of LIVE_STACK_SIZE bytes (live_stack). */
struct live_area {
	struct live_record *record;
	uint32_t version; /* LIVE_AREA: of this structure, and what else a visit finds in live.so */
	uint32_t mode;
	uint64_t error_device; /* what standard error was when the program started, 0 where it was not there */
	uint64_t error_inode;
	char socket[LIVE_SOCKET_SIZE]; /* of the daemon that visits it */
};

_Static_assert(sizeof(struct live_message) == 48 + LIVE_TEXT_SIZE, "message");
_Static_assert(sizeof(struct live_object) == 32, "object");
_Static_assert(sizeof(struct live_range) == 24, "range");
_Static_assert(sizeof(struct live_transaction) == 40, "transaction");
_Static_assert(sizeof(struct live_span) == 24, "span");
_Static_assert(sizeof(struct live_word) == 24, "word");
_Static_assert(sizeof(struct live_half) == 16, "half");
_Static_assert(sizeof(struct live_carry) == 16, "carry");
_Static_assert(sizeof(struct live_part) == 40, "part");
_Static_assert(sizeof(struct live_area) == 144, "area");

#endif
