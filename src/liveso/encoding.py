"""Text of the system's as JSON readers take it."""

import re
from collections.abc import Mapping
from typing import Any

_LIKE_AN_ESCAPE = re.compile(r"\\(?=x[0-9a-f]{2})")


def encodable(value: Any) -> Any:
    """`value` with strings that every JSON reader takes.

    A path or a command line is bytes; those that are not UTF-8, which Python keeps as lone surrogates (PEP 383), become
    `\\xNN`. It can be undone: a backslash that stands before what looks like such an escape becomes `\\x5c`.
    """
    if isinstance(value, str):
        if value.isascii() and "\\x" not in value:
            return value
        escaped = _LIKE_AN_ESCAPE.sub(r"\\x5c", value)
        try:
            return escaped.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        except UnicodeEncodeError:  # half of a character that takes two in UTF-16: no byte of a name
            return escaped.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {encodable(name): encodable(it) for name, it in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [encodable(it) for it in value]
    return value
