"""Text for a terminal, of which parts were chosen by whoever named a file or a process."""

import pwd


def printable(text: str) -> str:
    """`text` without what a terminal would obey or not show: control characters, escape sequences, line ends, marks
    that change the direction of writing. Each is written as `\\xNN`, `\\uNNNN` or `\\UNNNNNNNN`."""
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() else _escaped(it) for it in text)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def plural(number: int, one: str, many: str) -> str:
    """`1 process`, `2 processes`."""
    return f"{number} {one if number == 1 else many}"


def user_name(number: int) -> str:
    """What the user is called; `user 1000` where the machine does not know."""
    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError):
        return f"user {number}"
