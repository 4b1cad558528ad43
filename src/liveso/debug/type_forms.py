"""Types as far as the layout of memory goes, in words that can be compared between versions."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from liveso.debug.type_reader import drgn

UNKNOWN = "unknown"
COMPOUND = frozenset({drgn.TypeKind.STRUCT, drgn.TypeKind.UNION, drgn.TypeKind.CLASS})


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a compound type. `offset` and `size` are in bits, `size` None unless it is a bit field; `form` is its
    type as far as layout goes, `shown` as people write it."""

    name: str
    offset: int
    size: int | None
    form: str
    shown: str


def members_of(it: drgn.Type) -> tuple[Member, ...]:
    """The members of a compound type, in their order."""
    found = []
    for member in it.members:
        type_ = type_of(member)
        size = member.bit_field_size if type_ is not None else None
        shown = shown_as(type_) if type_ is not None else UNKNOWN
        found.append(Member(member.name or "", member.bit_offset, size, form_of(type_), shown))
    return tuple(found)


def form_of(it: drgn.Type | None) -> str:
    """A type as far as the layout goes, in which what is behind a pointer plays no part, unless that is a function,
    which others call; UNKNOWN where drgn cannot represent it."""
    try:
        return _readable_form(it) if it is not None else UNKNOWN
    except Exception:  # drgn has one type for each cause
        return UNKNOWN


def _readable_form(it: drgn.Type) -> str:
    kind = it.kind
    if kind == drgn.TypeKind.TYPEDEF:
        return form_of(it.type)
    if kind == drgn.TypeKind.ARRAY:
        return f"{form_of(it.type)}[{it.length if it.is_complete() else ''}]"
    if kind == drgn.TypeKind.ENUM:
        return f"int{it.type.size if it.is_complete() else ''}"
    if kind in COMPOUND:
        if it.tag or not it.is_complete():
            return f"{kind.name.lower()} {it.tag}"
        return "{" + ", ".join(f"{m.name}@{m.offset}:{m.size} {m.form}" for m in members_of(it)) + "}"
    if kind == drgn.TypeKind.POINTER and (callee := _function_of(it.type)) is not None:
        given = [form_of(type_of(parameter)) for parameter in callee.parameters]
        return f"pointer to {form_of(type_of(callee))}({', '.join([*given, *['...'] * callee.is_variadic])})"
    if kind == drgn.TypeKind.BOOL:
        return f"int{it.size}"
    return f"{kind.name.lower()}{it.size if hasattr(it, 'size') and kind != drgn.TypeKind.POINTER else ''}"


def has_no_name(it: drgn.Type) -> bool:
    return it.kind in COMPOUND and it.is_complete() and not it.tag


def _function_of(it: drgn.Type) -> drgn.Type | None:
    """The function type that a type is, by another name or by its own."""
    while it.kind == drgn.TypeKind.TYPEDEF:
        it = it.type
    return it if it.kind == drgn.TypeKind.FUNCTION else None


def type_of(it: Any) -> drgn.Type | None:
    """The type of a member or parameter, or of what a function returns; None where drgn cannot represent it."""
    try:
        return it.type
    except Exception:  # drgn has one type for each cause
        return None


def types_of(parts: Iterable[Any]) -> list[drgn.Type]:
    return [found for found in map(type_of, parts) if found is not None]


def shown_as(it: drgn.Type) -> str:
    return str(it.type_name())
