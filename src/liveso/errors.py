"""What can go wrong in a way that a user meets: one type a cause, each with its exit code."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the exit codes of the `liveso` command say: the same in each subcommand (docs/commands.md)."""

    DONE = 0
    """It is done, or the answer is yes."""
    NO = 1
    """The answer is no: refused, or nothing is what was asked for."""
    BAD_INPUT = 2
    """The question cannot be answered: an argument, a setting, a file or a package that is wrong."""
    DEPENDS = 3
    """It depends on the process whether the answer is yes."""
    NO_DAEMON = 4
    """No daemon answers."""
    NOT_PERMITTED = 5
    """The daemon belongs to another user."""
    NOT_HERE = 6
    """Something outside the question stands in the way: a daemon that runs already, a folder that cannot be used."""
    INTERNAL = 70
    """A fault in liveso (EX_SOFTWARE in sysexits.h)."""
    CANNOT_EXECUTE = 126
    """The program is there, and cannot be run (as in a shell)."""
    NO_PROGRAM = 127
    """There is no such program (as in a shell)."""
    INTERRUPTED = 130
    """Ctrl-C (as in a shell: 128 and SIGINT)."""
    BROKEN_PIPE = 141
    """Whoever read the output has gone (as in a shell: 128 and SIGPIPE)."""


class LivesoError(Exception):
    """Something that the user is told in one line. `exit_code` is the command's."""

    exit_code = ExitCode.BAD_INPUT


class ImageError(LivesoError):
    """A file is not an ELF shared library that can be read to its end."""


class PackageError(LivesoError):
    """A package is not to be had, or nothing in it can be compared."""


class BadTracker(LivesoError):
    """A file is no copy of the security tracker's data."""


class NotWritten(LivesoError):
    """A file that the user named cannot be written."""


class StoreError(LivesoError):
    """A version could not be put into the store or taken from it, or a folder of the daemon's cannot be used."""

    exit_code = ExitCode.NOT_HERE


class UnsafePath(StoreError):
    """A folder or a file is not used, because another user could have made it, or could change it."""


class NotTaken(StoreError):
    """The store takes no more of a user's, or cannot be written."""


class FileWithheld(StoreError):
    """The file system of a file does not answer. It may do so later."""


class FileInFlux(LivesoError):
    """A file is still being written, or changed while it was read."""


class TargetError(LivesoError):
    """The agent of a target could not do what it was asked to."""


class TargetGone(TargetError):
    """The target has ended, or its agent does not answer any more."""


class Refused(LivesoError):
    """An update is not made; the text says why and what to do, `details` has each reason by itself. `library` is the
    path of the one that it is about, where several were to be updated together."""

    exit_code = ExitCode.NO

    def __init__(self, reason: str, details: tuple[str, ...] = (), library: str = "") -> None:
        super().__init__(reason)
        self.details = details
        self.library = library


class SettingsError(LivesoError):
    """A variable or the configuration file says something that cannot be."""


class DaemonRunning(LivesoError):
    """Another daemon serves this user already."""

    exit_code = ExitCode.NOT_HERE


class DaemonFailed(LivesoError):
    """The daemon cannot do its work any more."""


class CannotListen(LivesoError):
    """A port or a socket is taken, or cannot be made."""

    exit_code = ExitCode.NOT_HERE


class UnknownTarget(LivesoError):
    """No target is what the user asked for."""

    exit_code = ExitCode.NO


class Declined(LivesoError):
    """The daemon does not do what it was asked to; the text says why, and `exit_code` of which kind that is."""

    def __init__(self, reason: str, exit_code: ExitCode) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class NoDaemon(LivesoError):
    """No daemon answers on the socket."""

    exit_code = ExitCode.NO_DAEMON


class NotPermitted(LivesoError):
    """The daemon belongs to somebody else: it may not be asked, or its answers are not to be trusted."""

    exit_code = ExitCode.NOT_PERMITTED


class NotInstalled(LivesoError):
    """A part of this installation is missing, or lies where it cannot be used."""

    exit_code = ExitCode.NOT_HERE


class CannotExecute(LivesoError):
    """A program is there, and cannot be run."""

    exit_code = ExitCode.CANNOT_EXECUTE


class NoProgram(LivesoError):
    """There is no such program."""

    exit_code = ExitCode.NO_PROGRAM


class NoScript(LivesoError):
    """There is no such Python script."""
