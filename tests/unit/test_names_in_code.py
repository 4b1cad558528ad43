"""What the names of functions say about the objects that code makes, and about the locks that it takes."""

import pytest

from liveso.code.locks import lock_kind
from liveso.code.operations import is_signed, without_direction, without_sign
from liveso.compare.constructed import class_of_constructor


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("_ZN16DcmUnsignedShortC1ERKS_", "16DcmUnsignedShort"),
        ("_ZN4DJVU7GPixmapC2Ev", "4DJVU7GPixmap"),
        ("_ZN6C1NameC1Ei", "6C1Name"),
        ("_ZN6C1Name3C2fEv", ""),
        ("_ZN16DcmUnsignedShortD1Ev", ""),
        ("_ZN3BoxIiEC1Ev", ""),
        ("_Znwm", ""),
        ("", ""),
    ],
)
def test_a_constructor_names_its_class(name: str, found: str) -> None:
    assert class_of_constructor(name) == found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pthread_mutex_lock", "pthread_mutex"),
        ("pthread_mutex_trylock", "pthread_mutex"),
        ("pthread_rwlock_wrlock", "pthread_rwlock"),
        ("pthread_rwlock_timedrdlock", "pthread_rwlock"),
        ("pthread_rwlock_unlock", "pthread_rwlock"),
        ("pthread_cond_timedwait", "pthread_cond"),
        ("sem_trywait", "sem"),
        ("mtx_timedlock", "mtx"),
        ("g_rw_lock_reader_unlock", "g_rw_lock"),
        ("pthread_mutexattr_init", ""),
        ("sem_open", ""),
        ("semantics_lock", ""),
    ],
)
def test_functions_that_are_given_a_lock_are_known_by_name(name: str, kind: str) -> None:
    assert lock_kind(name) == kind


@pytest.mark.parametrize(
    ("one", "other"),
    [("sar rax, N", "shr rax, N"), ("jle ", "jbe "), ("setl rax", "setb rax"), ("ldrsb w0, [x0]", "ldrb w0, [x0]")],
)
def test_instructions_that_differ_in_sign_alone_are_told(one: str, other: str) -> None:
    assert without_sign(one) == without_sign(other) != without_sign(f"{other}, N")


@pytest.mark.parametrize(("one", "other"), [("add rax, N", "sub rax, N"), ("inc [rdi]", "dec [rdi]")])
def test_instructions_that_differ_in_direction_alone_are_told(one: str, other: str) -> None:
    assert without_direction(one) == without_direction(other) != without_direction("mov rax, N")


@pytest.mark.parametrize(
    ("name", "condition", "found"),
    [
        ("sar", "", True),
        ("lsr", "", False),
        ("shl", "", None),
        ("cmp", "g", True),
        ("cmp", "b", False),
        ("cmp", "e", None),
        ("cmp", "", None),
    ],
)
def test_shifts_and_conditions_tell_a_sign(name: str, condition: str, found: bool | None) -> None:
    assert is_signed(name, condition) is found
