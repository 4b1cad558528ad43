"""Which constants are texts."""

_SHORTEST = 2  # bytes: a number in so few looks like a text
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\x1b") | {127}


def is_text(content: bytes) -> bool:
    """Whether a constant is one text, and padding."""
    text = first_text(content)
    return len(text) >= _SHORTEST and not content[len(text) :].strip(b"\0")


def first_text(content: bytes) -> bytes:
    """The text that begins there, without the zero that ends it; empty where there is none."""
    text, zero, _rest = content.partition(b"\0")
    return text if zero and _CONTROL.isdisjoint(text) else b""
