"""How far code gets behind an address by numbers of its own, for processors that have CodeWords."""

from liveso.machine.words import CodeWords, Part, Words

_WITHOUT_NUMBER = (Part.NONE, Part.PAGE, Part.WHOLE, Part.LITERAL, Part.COPY, Part.INDEX)


def reached_behind(words: CodeWords, others: Words, freed: int, result: int) -> int:
    """How far, in bytes, code gets behind what its first word leaves, or the next call then: by a number that is added
    to that, or to the sum of it and a register. `others` are the second registers of INDEX; calls change the `freed`
    ones, as bits, and leave what they tell in `result`."""
    held = {int(words.result[0])} if len(words.place) else set()
    farthest = 0
    for at in range(1, len(words.place)):
        part, base = int(words.part[at]), int(words.base[at])
        leaves = (part == Part.INDEX and not held.isdisjoint((base, int(others[at])))) or (
            part == Part.COPY and base in held
        )
        if base in held and part not in _WITHOUT_NUMBER:
            farthest = max(farthest, int(words.number[at]) + int(words.second_at[at]))
        if words.calls[at]:
            held = {it for it in held if not freed >> it & 1} | {result}
            continue
        written, left = int(words.writes[at]), int(words.result[at])
        held = {it for it in held if not written >> it & 1} | ({left} if leaves else set())
    return farthest
