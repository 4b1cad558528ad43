"""Which files a process runs code of that are not what lies at their paths now, by its memory map. Pure: what lies on
disk is asked of whoever knows."""

import re
from collections.abc import Callable, Iterable

from liveso.process.agent_file import is_agent
from liveso.process.memory_map import MappedFile, Mapping

_DELETED = " (deleted)"
_NO_FILES = re.compile(
    r"/(memfd:|dev/|SYSV[0-9a-f]{8}|\[aio\]|drm\b|i915\b|anon_hugepage)"
    # made to be executed once, and removed at once: a file without a name, ORC's and JNA's code
    r"|.*/(#[0-9]+|orcexec\.\w+|jna[0-9]+\.tmp)( \(deleted\))?$"
)
_TEMPORARY = ("/tmp/", "/var/tmp/", "/run/", "/var/run/")
_IN_A_STORE = re.compile(r".*[/:]liveso/[0-9a-f]{2}/[0-9a-f]{64}/")
_NEVER_UPDATED = re.compile(r"(ld-linux[-.\w]*|ld64|ld-[0-9.]+|libc[-.0-9]*|libpthread[-.0-9]*)\.so(\.[0-9]+)*$")


def plain_path(file: MappedFile) -> str:
    """The path without the kernel's remark that it leads to the file no more."""
    return file.path.removesuffix(_DELETED)


def outdated(
    mappings: Iterable[Mapping],
    is_other: Callable[[Mapping], bool],
    exists: Callable[[str], bool],
    store: str,
) -> list[MappedFile]:
    """The files, each once, by `mappings` of their code.

    `is_other` says whether another file lies at a mapping's path than the one that is mapped, and `exists` whether
    there is one at a path. Not counted are what has no path (memfd, devices, shared memory), liveso's own copies, in
    the folder `store` or another user's, and live.so, which a new daemon goes on using; and in folders for temporary
    files what was removed and has no successor: programs make code of their own there.
    """
    found: dict[MappedFile, None] = {}
    for it in mappings:
        if not it.is_executable or not it.file.inode or it.file in found or not _counts(it.file, store):
            continue
        if _is_removed(it.file, exists) if it.file.is_deleted else is_other(it):
            found[it.file] = None
    return list(found)


def of_liveso(mappings: Iterable[Mapping], store: str) -> list[MappedFile]:
    """live.so and liveso's own copies among the files of `mappings`, each once: they may be removed from disk."""
    return list(dict.fromkeys(it.file for it in mappings if it.file.inode and _is_of_liveso(it.file, store)))


def is_never_updated(path: str) -> bool:
    """Whether a library is one that liveso leaves alone by its name: libc, the dynamic linker."""
    return bool(_NEVER_UPDATED.match(path.rpartition("/")[2]))


def _counts(file: MappedFile, store: str) -> bool:
    return file.path.startswith("/") and not _NO_FILES.match(file.path) and not _is_of_liveso(file, store)


def _is_removed(file: MappedFile, exists: Callable[[str], bool]) -> bool:
    path = plain_path(file)
    return not path.startswith(_TEMPORARY) or exists(path)


def _is_of_liveso(file: MappedFile, store: str) -> bool:
    in_store = bool(store) and file.path.startswith(f"{store}/")
    return in_store or bool(_IN_A_STORE.match(file.path)) or is_agent(file.path)
