"""Functions that make, take and give locks and the like, which all are given the lock's address first."""

import re

_LOCKS = re.compile(
    # pthreads(7); sem_overview(7); C11 7.26; GLib, "Threads"
    r"(pthread_(?:mutex|rwlock|spin|cond)|sem|mtx|cnd|g_(?:mutex|rec_mutex|rw_lock|cond))_"
    r"(?:(?:timed|try|rd|wr|reader_|writer_)*(?:un)?lock|(?:timed|try|clock)*wait|post|signal|broadcast|init|destroy|clear)$"
)


def lock_kind(name: str) -> str:
    """The kind of lock that a function, by its name, is about; empty for other functions."""
    found = _LOCKS.match(name)
    return found[1] if found else ""
