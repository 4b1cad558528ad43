"""A library whose objects a program holds, for the tests of what people are shown: a version may replace another one,
changes what its values mean, or has another layout and may not."""

SHARED = ("-O2", "-fPIC", "-shared", "-Wl,--build-id")
LIBRARY = r"""
#include <stdlib.h>
struct conn { EXTRA int state; int sent; };
struct conn *conn_new(void) { struct conn *it = calloc(1, sizeof *it); it->state = OPEN; return it; }
int conn_write(struct conn *it) { if (it->state != OPEN) return -1; return ++it->sent; }
int conn_is_open(struct conn *it) { return it->state == OPEN; }
int conn_version(void) { return VERSION; }
int conn_sent(struct conn *it) { return it->sent; }
"""
DECLARED = "struct conn; struct conn *conn_new(void); int conn_write(struct conn *); int conn_version(void);"
PROGRAM = rf"""
#include <stdio.h>
{DECLARED}
int main(void) {{
    char line[99];
    struct conn *it = conn_new();
    puts("ready"), fflush(stdout);
    while (fgets(line, sizeof line, stdin)) printf("version %d\n", conn_version() + 0 * conn_write(it)), fflush(stdout);
    return 0;
}}
"""
"""It says the library's version for each line that it is given."""


def flags(version: int, has_other_layout: bool, state: int = 11) -> tuple[str, ...]:
    """What a version of LIBRARY is compiled with; `state` is the value for a connection that is open."""
    extra = "long flags;" if has_other_layout else ""
    return *SHARED, f"-DVERSION={version}", f"-DOPEN={state}", f"-DEXTRA={extra}"
