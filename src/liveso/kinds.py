"""What can happen."""

from enum import StrEnum


class Kind(StrEnum):
    UPDATED = "updated"
    ROLLED_BACK = "rolled-back"
    """In one process; what was said by a person is a ROLLBACK."""
    REFUSED = "refused"
    HELD_BACK = "held-back"
    WAITING = "waiting-for-person"
    FAILED = "failed"
    CRASHED = "crash-after-update"
    ALLOWED = "allowed"
    ROLLBACK = "rollback"
    RESUME = "resume"
    STARTED = "started"
    STOPPED = "stopped"
