"""Paths as packages and processes name them: since /usr was merged, /lib/x and /usr/lib/x are one file."""

import posixpath
import re

_MERGED = re.compile(r"^/usr(?=/(?:bin|sbin|lib\w*)/)")


def merged(path: str) -> str:
    """The path with one of its names, whether a package (`./usr/lib/x`, `usr/lib/x`) or a process names it."""
    return _MERGED.sub("", posixpath.normpath("/" + path.lstrip("/")))
