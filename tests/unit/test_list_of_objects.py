"""Where a visited process says that the thread-local blocks of its objects lie (ELF TLS, 3)."""

import pytest

from liveso.process.agent import LoadedObject
from liveso.process.list_of_objects import NOMINAL_THREAD_POINTER, _placed

POINTER, SIZE = 0x7F0000001000, 0x800
ABOVE, BELOW = range(SIZE), range(1 - SIZE, 0)


@pytest.mark.parametrize(
    ("static", "place", "is_static"),
    [
        pytest.param(BELOW, -0x40, True, id="below (x86-64)"),
        pytest.param(BELOW, -SIZE, False, id="allocated, below"),
        pytest.param(BELOW, 0x40, False, id="allocated, above"),
        pytest.param(ABOVE, 0x10, True, id="above (AArch64)"),
        pytest.param(ABOVE, 0, True, id="at the thread pointer (RISC-V)"),
        pytest.param(ABOVE, SIZE, False, id="allocated, far above"),
        pytest.param(ABOVE, -0x40, False, id="allocated, below the pointer"),
    ],
)
def test_blocks_at_one_place_in_all_threads_are_told_from_others(static: range, place: int, is_static: bool) -> None:
    it = _placed(LoadedObject("libx.so", 0x1000, 0x1040, 3, 2, POINTER + place), POINTER, static)
    assert it.tls_block == (NOMINAL_THREAD_POINTER + place if is_static else 0)
    assert (it.name, it.base, it.tls_module) == ("libx.so", 0x1000, 2)


def test_an_object_without_a_block_has_none() -> None:
    assert _placed(LoadedObject("libx.so", 0x1000, 0x1040, 3, 0, 0), 0x100, ABOVE).tls_block == 0
