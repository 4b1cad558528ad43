"""Two versions as people tell them apart."""

import re

from debian.debian_support import Version

_TOKEN = re.compile(r"\d+|[A-Za-z]+|[^\dA-Za-z]")


def shortened(old: str, new: str) -> str:
    """`3.0.17 → 3.0.20` where upstream's version differs; else, where a number behind a letter does, the newer one
    without what both begin with: `2.9.14-1+deb12u4 → u6`."""
    if old == new:
        return old
    try:
        upstream = [Version(it).upstream_version for it in (old, new)]
    except ValueError:
        return f"{old} → {new}"
    if upstream[0] != upstream[1]:
        return f"{upstream[0]} → {upstream[1]}"
    one, other = _TOKEN.findall(old), _TOKEN.findall(new)
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    is_after_letter = same > 0 and one[same - 1].isalpha()  # a number says nothing without its letter
    return f"{old} → {''.join(other[same - 1 :]) if is_after_letter and other[same:] else new}"
