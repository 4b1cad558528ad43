"""Text out of files, for people."""


def printable(text: str) -> str:
    """The same text with escapes for what a terminal or a log would not show as such: a name in a file can hold line
    ends and control sequences."""
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() else ascii(it)[1:-1] for it in text)
