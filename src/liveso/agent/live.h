/* What the agent's files share. Nothing here is visible outside live.so. */
#ifndef LIVE_H
#define LIVE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdnoreturn.h>

#include "protocol.h"

enum { LIVE_PATH_SIZE = 4096, LIVE_SETTINGS_SIZE = LIVE_TEXT_SIZE };

/* settings.c: what the environment said when the program started; never written again. */
struct live_settings {
	char socket[108];		    /* as long as sun_path, unix(7) */
	char daemon[LIVE_PATH_SIZE];	    /* the command that starts the daemon, or empty */
	char variables[LIVE_SETTINGS_SIZE]; /* LIVE_* as NAME=value, each ended by NUL */
	size_t variables_size;
	char **environment; /* for the daemon: the few variables that it needs */
	bool is_resident;   /* LIVE_MODE: live.so has a thread of its own */
	bool may_report;    /* LIVE_LOGLEVEL of at least 1: a program does not know that live.so is there */
};

extern struct live_settings live_settings;

/* Read the environment. False: live.so shall do nothing, as asked (LIVE_DISABLE) or for safety (AT_SECURE). */
bool live_settings_read(void);

/* report.c: Remember which file standard error is, so that a later line goes there or nowhere. */
void live_report_prepare(void);
/* Write one line to the program's standard error, if that is still the file that it was at the start. */
void live_report(const char *text, size_t size);
/* The same, for the reason that live.so itself cannot work; said once, and only where the user wants to hear of it. */
void live_report_trouble(const char *what, const char *subject);
/* Put the program's standard streams into the agent's table while an initialiser may print, or take them out. */
void live_lend_standard_streams(bool lend);

/* channel.c: Connect to the daemon; -1 and errno if none answers that may command this process. */
int live_channel_open(void);
enum live_start { LIVE_STARTED, LIVE_START_CLAIMED, LIVE_START_IMPOSSIBLE, LIVE_START_UNWANTED };
/* Start the daemon, detached from the program, unless another target is at it, or a program would find it among its
 * children. */
enum live_start live_channel_start_daemon(bool even_if_claimed);
enum { LIVE_NO_SHEET = -1, LIVE_SHEET_DROPPED = -2 /* the program may not have another descriptor */ };
/* Receive a request and its sheet. False if the daemon is gone. */
bool live_channel_receive(int channel, struct live_message *message, int *sheet);
/* Whether the daemon is gone, so that nobody asks any more for what was received. */
bool live_channel_is_cut(int channel);
/* Send a message. False if the daemon is gone. */
bool live_channel_send(int channel, const struct live_message *message);

/* work.c: Carry out one request; what was a request becomes its reply. False: the thread shall end. */
bool live_work(struct live_message *message, int sheet);
/* The daemon went without the reply: a library that nobody knows of is not kept. */
void live_work_undelivered(const struct live_message *message);

/* commit.c: Apply the transaction on the sheet, all of it or nothing. `position` is the word that was not as expected,
 * `left_open` not 0 where pages did not get their protection back. */
enum live_status live_commit(int sheet, uint64_t *position, uint64_t *left_open);
/* Write the record of the last commit to the sheet. */
enum live_status live_commit_recall(int sheet, uint64_t *size);

/* commit.c: Copy the sheet into memory of our own, to be unmapped by the caller: it could be cut short under a mapping
 * of it (SIGBUS). NULL where it is shorter than `least`, or where there is no memory. */
void *live_take_sheet(int sheet, size_t least, size_t *size);

/* carry.c: Lay mappings onto the file at `path`, which has the same content, all of them or none. Takes no lock, and
 * allocates nothing: all other threads are held still, and may hold any lock. */
enum live_status live_carry(int sheet, const char *path, uint64_t *failure);

/* work.c: The loaded objects, as many as fit into so much memory; what the message says is as in a reply to LIVE_LIST.
 */
void live_list(struct live_message *message, char *memory, uint64_t size);

/* carry.c: the same in a visit. */
uint64_t live_map_parts(const char *path, struct live_part *parts, uint64_t count);
uint64_t live_move_parts(const struct live_part *parts, uint64_t count);

/* visit.c: what a daemon finds which visits the process. */
extern struct live_area live_area;
extern char live_stack[LIVE_STACK_SIZE];

/* leader.c: Find out how glibc counts threads: once, in the program's thread. */
void live_leader_prepare(void);
/* Let glibc not count our thread: what ends last of the program's own ends the process, with all that is to
 * be done then (exit(3)). */
void live_uncount_thread(void);
/* False where only our thread keeps the process alive, or where it may do what the first one may not, or the other way
 * round. */
bool live_may_stay(void);
/* End our thread, of which glibc is not told. Where only that is left, the process ends with what its first thread
 * ended with: for newer kernels the last one counts. */
noreturn void live_end_thread(void);

/* live.c: held by the agent while the loader's data is in flux; a fork waits for it. */
extern pthread_mutex_t live_work_lock;

#endif
