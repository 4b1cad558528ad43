"""Who holds threads goes before others: what is held stands still for as long as he waits for a processor."""

import os


def go_before_others() -> None:
    """With the lowest real-time priority (sched(7)). Where that is not allowed, wait as others do."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
    except OSError:
        pass
