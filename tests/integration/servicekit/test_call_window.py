"""How many batches of calls are under way, over a real socket."""

import asyncio

import pytest

from servicekit.calls.client import MAX_BATCH
from tests.integration.servicekit.test_calls import Gate, Link, linked
from tests.support.waiting import until

SWEEP = "servicekit.calls.client._SWEEP_S"
NEVER_S = 60.0


async def two_batches_under_way(link: Link) -> list["asyncio.Task[object]"]:
    """Ask twice, and see both arrive, each by itself."""
    first = link.asking("A")
    await until(lambda: link.service.messages == [1])
    second = link.asking("B")
    await until(lambda: link.service.messages == [1, 1])
    return [*first, *second]


async def test_what_queues_behind_two_batches_travels_together_after_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SWEEP, NEVER_S)
    gate = Gate()
    async with linked({"authorize": gate}) as link:
        asked = await two_batches_under_way(link)
        for tag in "CDEFG":
            asked += link.asking(tag)
            await asyncio.sleep(0)
        gate.let("B")
        await until(lambda: len(link.service.messages) > 2)
        assert link.service.messages == [1, 1, 5]
        gate.let(*"ACDEFG")
        await asyncio.gather(*asked)


async def test_a_batch_that_cannot_grow_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SWEEP, NEVER_S)
    gate = Gate()
    async with linked({"authorize": gate}) as link:
        asked = await two_batches_under_way(link)
        tags = [f"T{number}" for number in range(MAX_BATCH)]
        asked += link.asking(*tags)
        await until(lambda: link.service.messages == [1, 1, MAX_BATCH])
        gate.let("A", "B", *tags)
        await asyncio.gather(*asked)


async def test_batches_that_nobody_answers_hold_nothing_back() -> None:
    gate = Gate()
    async with linked({"authorize": gate}) as link:
        asked = await two_batches_under_way(link)
        gate.let("C")
        (quick,) = link.asking("C")
        await quick
        assert not any(task.done() for task in asked)
        gate.let("A", "B")
        await asyncio.gather(*asked)
