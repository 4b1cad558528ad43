"""References of code whose instructions hold parts of addresses (AArch64)."""

import numpy as np

from liveso.code.address_parts import address_parts
from liveso.code.functions import functions, holders
from liveso.code.reference import BOUND, PAGE, REFERENCE, References, function_starts
from liveso.elf import Image
from liveso.elf.data import constant_span, data_layout
from liveso.elf.sets import among, distinct
from liveso.elf.tables import Table


def data_references(image: Image) -> References:
    """Those to variables, constants and functions. Raises ImageError as `functions` does."""
    found, known = address_parts(image), functions(image)
    rows = found.rows[["place", "target", "number", "forms_address"]]
    layout = data_layout(image)
    variables, constants = (_inside(rows["target"], it) for it in (layout.span, constant_span(image)))
    variables &= ~layout.are_in_gaps(rows["target"])
    starts = np.array(sorted(function_starts(image, known)), "<i8")
    forms = rows["forms_address"] & among(rows["target"], starts)
    is_outside = ~holders(known, found.rows["place"])[1]
    outside = len(distinct(found.rows["place"][variables & is_outside]))

    places, doubtful = [], 0
    for lost in (found.undecoded, found.unclear):
        to_variables = _may_lead_into(lost, layout.span)
        _before, inside = holders(known, lost[:, 0])
        may = to_variables | _may_lead_into(lost, constant_span(image)) | _may_lead_to(lost, starts)
        places.append(tuple(distinct(lost[may & inside, 0]).tolist()))
        doubtful += len(distinct(lost[to_variables & ~inside, 0]))
    undecoded, unclear = places
    reached = found.reached.rows
    anchored = [reached[_inside(reached["target"], it)] for it in (layout.span, constant_span(image))]
    bound = found.reached.bound
    bound = bound[_inside(bound["base"], layout.span) | _inside(bound["base"], constant_span(image))]
    pages = pages_of(image, rows["place"][variables | constants | forms])
    return References(
        _references(rows[variables]),
        undecoded,
        unclear,
        outside,
        doubtful,
        constants=_references(rows[constants]),
        functions=_references(rows[forms]),
        pages=distinct(np.concatenate([pages, *(_pages(it) for it in anchored)])),
        anchored=_references(anchored[0]),
        anchored_constants=_references(anchored[1]),
        bound=bound.astype(BOUND),
        anchors=found.reached.anchors.astype("<u8"),
    )


def slot_references(image: Image, slots: frozenset[int]) -> tuple[Table, tuple[int, ...]]:
    """Those to certain words, and the instructions in functions that may lead to one, but cannot be followed."""
    found, wanted = address_parts(image), np.array(sorted(slots), "<i8")
    rows = found.rows[among(found.rows["target"], wanted)]
    lost = np.concatenate([found.undecoded, found.unclear])
    lost = lost[_may_lead_to(lost, wanted) & holders(functions(image), lost[:, 0])[1]]
    return _references(rows), tuple(distinct(lost[:, 0]).tolist())


def pages_of(image: Image, places: Table) -> Table:
    """The PAGE rows of references at `places`, none for those whose instruction holds all, and of all others that have
    a page from one of the same instructions."""
    rows = address_parts(image).rows
    rows = rows[rows["place"] != rows["page"]]
    return _pages(rows[among(rows["page"], distinct(rows["page"][among(rows["place"], places)]))])


def _pages(rows: Table) -> Table:
    found = np.zeros(len(rows), PAGE)
    found["place"], found["page"] = rows["place"], rows["page"]
    return distinct(found)


def _references(rows: Table) -> Table:
    """REFERENCE rows, each once: several pages can lead to one."""
    found = np.zeros(len(rows), REFERENCE)
    found["place"], found["target"] = rows["place"], rows["target"]
    found["displacement"], found["forms_address"] = rows["number"], rows["forms_address"]
    return distinct(found)


def _inside(targets: Table, span: range) -> Table:
    """Which lead into `span`, or to its end, the address past an array."""
    found: Table = (targets >= span.start) & (targets <= span.stop) & bool(span)
    return found


def _may_lead_into(lost: Table, span: range) -> Table:
    found: Table = (lost[:, 1] <= span.stop) & (lost[:, 2] > span.start) & bool(span)
    return found


def _may_lead_to(lost: Table, addresses: Table) -> Table:
    """Whether one of some sorted addresses may be meant."""
    found: Table = np.searchsorted(addresses, lost[:, 1]) < np.searchsorted(addresses, lost[:, 2])
    return found
