"""Why threads cannot be stopped."""


class Later(Exception):
    """A thread cannot be stopped now; a moment later it can."""


class Gone(Exception):
    """The process has ended, or the thread."""


class Problem(Exception):
    """The threads may not be stopped."""
