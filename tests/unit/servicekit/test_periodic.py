"""Work that is done again and again, and how it ends."""

import asyncio

from servicekit.periodic import Periodic


class Work:
    """Takes until it is let go.

    Attributes:
        began: How many turns have begun.
        finished: How many were not given up.
    """

    def __init__(self) -> None:
        self.began = self.finished = 0
        self.is_under_way, self.let_go = asyncio.Event(), asyncio.Event()

    async def turn(self) -> None:
        self.began += 1
        self.is_under_way.set()
        await self.let_go.wait()
        self.finished += 1


async def test_turn_that_is_under_way_is_not_cut_off() -> None:
    work = Work()
    periodic = Periodic("work", work.turn, 0).started()
    await work.is_under_way.wait()
    closing = asyncio.create_task(periodic.close())
    await asyncio.sleep(0)
    assert not closing.done()
    work.let_go.set()
    await closing
    assert (work.began, work.finished) == (1, 1)


async def test_turn_that_takes_too_long_is_given_up() -> None:
    work = Work()
    periodic = Periodic("work", work.turn, 0, patience_s=0).started()
    await work.is_under_way.wait()
    await periodic.close()
    assert (work.began, work.finished) == (1, 0)


async def test_pause_ends_with_the_close() -> None:
    work = Work()
    work.let_go.set()
    periodic = Periodic("work", work.turn, 10**6).started()
    await work.is_under_way.wait()
    async with asyncio.timeout(60):
        await periodic.close()
    assert (work.began, work.finished) == (1, 1)


async def test_turn_that_fails_is_followed_by_another() -> None:
    turns = asyncio.Event()
    failures = iter((RuntimeError("a defect"),))

    async def turn() -> None:
        for failure in failures:
            raise failure
        turns.set()

    periodic = Periodic("work", turn, 0).started()
    await turns.wait()
    await periodic.close()
