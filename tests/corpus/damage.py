"""Judge damaged copies of a library, within bounds: `python -m tests.corpus.damage FILE COUNT`.

A file that ends in anything but a verdict or a clear error fails, as does one that takes too long or too much memory.
Prints how many files were judged, and how many of them ended in a verdict.
"""

import resource
import signal
import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveso.elf import Image, read_image
from liveso.errors import ImageError
from liveso.verdict import judge

_MOST_MEMORY = 1 << 30  # bytes
_LONGEST = 20  # seconds for one file


def damage(content: bytes, image: Image) -> st.SearchStrategy[bytes]:
    """Copies of `content` with some bytes changed, most of them in headers and tables, or with its end cut off."""
    tables = [it for it in image.sections if it.has_bytes and it.size and not it.is_code and it.name != ".rodata"]
    headers = st.integers(0, 511)
    ends = st.integers(max(0, len(content) - 64 * 40), len(content) - 1)  # section headers
    inside = st.sampled_from(tables).flatmap(lambda it: st.integers(it.offset, it.offset + it.size - 1))
    anywhere = st.integers(0, len(content) - 1)
    place = st.one_of(headers, ends, inside, anywhere)
    value = st.one_of(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)), st.integers(0, 255))
    changes = st.lists(st.tuples(place, value), min_size=1, max_size=24)
    length = st.one_of(st.just(len(content)), st.integers(0, len(content)))

    def changed(edits: list[tuple[int, int]], size: int) -> bytes:
        copy = bytearray(content)
        for at, byte in edits:
            copy[at] = byte
        return bytes(copy[:size])

    return st.builds(changed, changes, length)


def main() -> None:
    content, count = Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
    whole = read_image(content)
    judge(whole, whole)  # what is loaded once is not the files' doing
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    found = {"files": 0, "verdicts": 0}

    bounds = settings(max_examples=count, deadline=None, derandomize=True, database=None)

    @settings(bounds, suppress_health_check=list(HealthCheck))
    @given(damage(content, whole))
    def ends_well(damaged: bytes) -> None:
        found["files"] += 1
        signal.alarm(_LONGEST)
        try:
            image = read_image(damaged)
            judge(whole, image)
            judge(image, whole)
            found["verdicts"] += 1
        except ImageError as error:
            assert "\n" not in str(error)
        finally:
            signal.alarm(0)

    ends_well()
    print(found["files"], found["verdicts"])


if __name__ == "__main__":
    main()
