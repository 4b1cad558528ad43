"""What a version imports from later versions of other libraries. The dynamic linker looks for it in the version that
the process loaded, which lacks what is new."""

from dataclasses import dataclass

from liveso.elf import Image, Symbol, tables
from liveso.plan.record import LoadedVersion


@dataclass(frozen=True, slots=True)
class Provider:
    """A library of the target that runs, or will run, another version than the first, which the process loaded."""

    loaded: LoadedVersion
    first: Image
    running: Image


@dataclass(frozen=True, slots=True)
class Import:
    """A relocation, by its row in the image's table, and the symbol of the provider that it refers to."""

    row: int
    provider: Provider
    symbol: Symbol


def later_imports(image: Image, providers: list[Provider]) -> list[Import]:
    """The relocations that only the running version of a library that `image` needs (DT_NEEDED) can satisfy."""
    candidates = [it for it in providers if it.first.soname in image.needed]
    kinds = {image.machine.absolute, image.machine.glob_dat, image.machine.jump_slot}
    found = []
    for row, (_offset, kind, index, _addend) in enumerate(image.relocations.tolist() if candidates else ()):
        if index and kind in kinds and not image.symbols[index].is_defined:
            for it in candidates:
                symbol = _only_in_running(it, image.symbols[index])
                if symbol is not None:
                    found.append(Import(row, it, symbol))
                    break
    return found


def _only_in_running(it: Provider, wanted: Symbol) -> Symbol | None:
    if any(_fits(one, wanted) for one in it.first.by_name.get(wanted.name, ())):
        return None
    return next((one for one in it.running.by_name.get(wanted.name, ()) if _fits(one, wanted)), None)


def _fits(offered: Symbol, wanted: Symbol) -> bool:
    """Whether the dynamic linker would take it: the version that is asked for, or the default where none is."""
    is_code_or_data = offered.type in (tables.STT_FUNC, tables.STT_OBJECT, tables.STT_GNU_IFUNC)
    return is_code_or_data and (offered.version == wanted.version if wanted.version else offered.is_default)
