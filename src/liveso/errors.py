"""What can go wrong in a way that a user meets: one type a cause, each with its exit code."""


class LivesoError(Exception):
    """Something that the user is told in one line. `exit_code` is the command's."""

    exit_code = 2


class ImageError(LivesoError):
    """A file is not an ELF shared library that can be read to its end."""


class PackageError(LivesoError):
    """A package is not to be had, or nothing in it can be compared."""


class StoreError(LivesoError):
    """A version could not be put into the store or taken from it."""


class UnsafePath(StoreError):
    """A folder or a file is not used, because another user could have made it, or could change it."""


class FileInFlux(LivesoError):
    """A file is still being written, or changed while it was read."""


class TargetError(LivesoError):
    """The agent of a target could not do what it was asked to."""


class TargetGone(TargetError):
    """The target has ended, or its agent does not answer any more."""


class Refused(LivesoError):
    """An update is not made; the text says why and what to do, `details` has each reason by itself. `library` is the
    path of the one that it is about, where several were to be updated together."""

    exit_code = 1

    def __init__(self, reason: str, details: tuple[str, ...] = (), library: str = "") -> None:
        super().__init__(reason)
        self.details = details
        self.library = library


class SettingsError(LivesoError):
    """A variable or the configuration file says something that cannot be."""


class DaemonRunning(LivesoError):
    """Another daemon serves this user already."""


class UnknownTarget(LivesoError):
    """No target is what the user asked for."""


class NoDaemon(LivesoError):
    """No daemon answers on the socket."""

    exit_code = 3
