"""Whose turn it is, where many want the same."""

import asyncio

import pytest

from liveso.daemon.turns import Turns

NEVER = 1000.0  # seconds


async def begin(turns: Turns, name: int, begun: list[int], end: asyncio.Event) -> None:
    async with turns.turn():
        begun.append(name)
        await end.wait()


async def settle() -> None:
    for _round in range(20):
        await asyncio.sleep(0)


def test_some_have_their_turn_and_the_others_follow_in_order() -> None:
    async def run() -> None:
        turns, begun = Turns(2, NEVER), list[int]()
        ends = [asyncio.Event() for _number in range(5)]
        tasks = [asyncio.create_task(begin(turns, number, begun, ends[number])) for number in range(5)]
        await settle()
        assert begun == [0, 1]
        ends[1].set()
        await settle()
        assert begun == [0, 1, 2]
        for end in ends:
            end.set()
        await asyncio.gather(*tasks)
        assert begun == [0, 1, 2, 3, 4]

    asyncio.run(run())


def test_who_takes_long_does_not_hold_up_the_others() -> None:
    async def run() -> None:
        turns, begun, end = Turns(2, 0.01), list[int](), asyncio.Event()
        tasks = [asyncio.create_task(begin(turns, number, begun, end)) for number in range(6)]
        while len(begun) < 6:
            await asyncio.sleep(0.001)
        end.set()
        await asyncio.gather(*tasks)
        assert begun == [0, 1, 2, 3, 4, 5]

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize("ends", ["quickly", "late", "by an error", "before its turn"])
def test_a_turn_is_given_back_once_however_it_ends(ends: str) -> None:
    async def use(turns: Turns) -> None:
        async with turns.turn():
            if ends == "late":
                await asyncio.sleep(0.05)
            if ends == "by an error":
                raise ValueError

    async def run() -> None:
        turns = Turns(1, 0.01 if ends == "late" else NEVER)
        if ends == "before its turn":
            async with turns.turn():
                waiting = asyncio.create_task(use(turns))
                await settle()
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
        else:
            await asyncio.gather(use(turns), return_exceptions=True)
        begun, end = list[int](), asyncio.Event()
        tasks = [asyncio.create_task(begin(turns, number, begun, end)) for number in range(2)]
        await settle()
        assert begun == [0]
        end.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())
