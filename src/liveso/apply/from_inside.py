"""Writes into a target whose code an emulator executes: it makes other code of that before, and only learns of changes
that the program itself makes."""

import asyncio
from collections.abc import Sequence

import numpy as np

from liveso.apply.target import NO_HALVES, Target, list_objects
from liveso.elf.tables import Table
from liveso.plan.spans import spans_for_words
from liveso.process import Transaction, WordChanged
from liveso.process.agent import TakenBack
from liveso.process.freeze import still
from liveso.process.holding import MemoryChanged
from liveso.process.protocol import WORD, Piece

_LIMIT = 2.0  # seconds: a thread of the emulator may stand where it has a lock that the agent's needs
_SIZE = WORD["value"].itemsize


async def write_from_inside(target: Target, pieces: Sequence[Piece]) -> None:
    """Write all pieces or none, a word at a time, by the agent's thread. The others stand still meanwhile, if they can
    do that for so long.

    Raises MemoryChanged where something is not as expected, TargetError.
    """
    words = words_of(pieces)
    objects = await list_objects(target)
    spans = spans_for_words(await target.agent.protections(words["address"]), words["address"])
    transaction = Transaction(spans, words, NO_HALVES, is_used=True)
    async with still(target.pid, target.agent.spared, _LIMIT):
        commit = asyncio.create_task(target.agent.commit(transaction, objects))
        await asyncio.wait({commit}, timeout=_LIMIT)
    try:
        await commit
    except TakenBack:
        raise
    except WordChanged as error:
        raise MemoryChanged(str(error)) from error


def words_of(pieces: Sequence[Piece]) -> Table:
    """The aligned words that differ, as WORD rows. Pieces are whole words."""
    found = []
    for address, expected, content in pieces:
        before, after = np.frombuffer(expected, "<u8"), np.frombuffer(content, "<u8")
        differing = np.flatnonzero(before != after)
        rows = np.zeros(len(differing), WORD)
        rows["address"] = np.uint64(address) + differing.astype("<u8") * np.uint64(_SIZE)
        rows["expected"], rows["value"] = before[differing], after[differing]
        found.append(rows)
    return np.concatenate(found)
