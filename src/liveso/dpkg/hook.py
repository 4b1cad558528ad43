"""What apt tells a program that DPkg::Pre-Install-Pkgs names, by the protocol's version 2 or 3 (apt.conf(5))."""

from collections.abc import Iterable

_MARKS = "**"  # of what is no file: **CONFIGURE**, **REMOVE**, **ERROR**


def archives_in(lines: Iterable[str]) -> list[str]:
    """The files of the packages that are to be unpacked: version 1 has a file a line; later ones begin with their
    number, apt's configuration and an empty line, and the file is the last field of each line."""
    found, is_header, is_first = [], False, True
    for line in lines:
        text = line.rstrip("\n")
        if is_first and text.startswith("VERSION "):
            is_header = True
        elif is_header:
            is_header = bool(text)
        elif (name := _file(text)) and not name.startswith(_MARKS):
            found.append(name)
        is_first = False
    return found


def _file(text: str) -> str:
    """The file that a line names: everything from the first slash on, for a folder may have spaces in its name."""
    return text[text.index("/") :] if "/" in text else ""
