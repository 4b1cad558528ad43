#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "live.h"
#include "system.h"

extern char **environ;

struct live_settings live_settings;

/* What the daemon gets of the program's environment; anything else (LD_PRELOAD, PYTHONPATH) could misguide it. */
static const char *const kept[] = {"HOME=", "USER=", "LOGNAME=", "PATH=", "LANG=", "LC_", "TZ=", "XDG_", "LIVE_"};

static bool is_kept(const char *variable)
{
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (strncmp(variable, kept[i], strlen(kept[i])) == 0)
			return true;
	return false;
}

/* Copy what is kept, once, into memory of our own: the program may change its environment at any time. */
static bool copy_environment(void)
{
	static char disable[] = "LIVE_DISABLE=1"; /* no target of itself, where /etc/ld.so.preload has live.so */
	size_t count = 3, bytes = sizeof live_settings.socket + 16;
	for (char **variable = environ; variable && *variable; variable++)
		if (is_kept(*variable)) {
			count++;
			bytes += strlen(*variable) + 1;
		}
	char **copies = live_map(count * sizeof *copies + bytes, PROT_READ | PROT_WRITE, -1, 0);
	if (copies == MAP_FAILED)
		return false;
	live_settings.environment = copies;
	char *text = (char *)(copies + count);
	for (char **variable = environ; variable && *variable; variable++) {
		if (!is_kept(*variable) || strncmp(*variable, "LIVE_SOCKET=", 12) == 0 ||
		    strncmp(*variable, "LIVE_DISABLE=", 13) == 0)
			continue;
		*copies++ = text;
		text = stpcpy(text, *variable) + 1;
	}
	*copies++ = disable;
	*copies = text;
	stpcpy(stpcpy(text, "LIVE_SOCKET="), live_settings.socket);
	return true;
}

/* The socket: LIVE_SOCKET, or the one in the runtime folder of the user. A path that is too long stays empty. */
static void find_socket(void)
{
	const char *given = getenv("LIVE_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");
	char path[LIVE_PATH_SIZE];
	struct stat folder;
	if (given && *given) {
		snprintf(path, sizeof path, "%s", given);
	} else if (geteuid() == 0) {
		snprintf(path, sizeof path, "/run/liveso/liveso.sock");
	} else if (runtime && *runtime == '/') {
		snprintf(path, sizeof path, "%s/liveso/liveso.sock", runtime);
	} else {
		snprintf(path, sizeof path, "/run/user/%u", (unsigned)geteuid());
		if (stat(path, &folder) == 0 && folder.st_uid == geteuid())
			strcat(path, "/liveso/liveso.sock");
		else
			snprintf(path, sizeof path, "/tmp/liveso-%u/liveso.sock", (unsigned)geteuid());
	}
	if (strlen(path) < sizeof live_settings.socket) {
		strcpy(live_settings.socket, path);
		strcpy(live_area.socket, path);
	} else
		live_report_trouble("the socket's path is too long (107 bytes at most), set LIVE_SOCKET", path);
}

/* The daemon that belongs to this installation: LIVE_DAEMON, or the command at a fixed place from live.so. */
static void find_daemon(void)
{
	const char *given = getenv("LIVE_DAEMON");
	char path[LIVE_PATH_SIZE];
	Dl_info self;
	if (given && *given) {
		snprintf(live_settings.daemon, sizeof live_settings.daemon, "%s", given);
	} else if (dladdr(&live_settings, &self) && realpath(self.dli_fname, path)) {
		char *slash = strrchr(path, '/');
		size_t folder = slash ? (size_t)(slash - path) : 0;
		if (folder + sizeof "/" LIVE_DAEMON_COMMAND <= sizeof live_settings.daemon) {
			memcpy(live_settings.daemon, path, folder);
			strcpy(live_settings.daemon + folder, "/" LIVE_DAEMON_COMMAND);
		}
	}
}

bool live_settings_read(void)
{
	const char *disable = getenv("LIVE_DISABLE"), *loglevel = getenv("LIVE_LOGLEVEL"), *mode = getenv("LIVE_MODE");
	if (getauxval(AT_SECURE) || (disable && *disable && strcmp(disable, "0") != 0))
		return false;
	live_settings.may_report = loglevel && *loglevel > '0';
	live_settings.is_resident = mode && strcmp(mode, "resident") == 0;
	for (char **variable = environ; variable && *variable; variable++) {
		size_t size = strlen(*variable) + 1;
		if (strncmp(*variable, "LIVE_", 5) != 0)
			continue;
		if (live_settings.variables_size + size > sizeof live_settings.variables) {
			live_report_trouble("the LIVE_ variables are too long, not served", *variable);
			return false;
		}
		memcpy(live_settings.variables + live_settings.variables_size, *variable, size);
		live_settings.variables_size += size;
	}
	find_socket();
	if (!live_settings.socket[0])
		return false;
	find_daemon();
	return copy_environment();
}
