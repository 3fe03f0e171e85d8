"""Waiting for commands within one process."""

import asyncio

import pytest

from device_service.use_cases.waiters import Waiters, changed
from servicekit.errors import QueueFull


async def test_change_wakes_those_who_wait_for_the_command() -> None:
    waiters = Waiters()
    with (
        waiters.waiting_for("1") as first,
        waiters.waiting_for("1") as second,
        waiters.waiting_for("2") as other,
    ):
        waiters.command_changed("1")
        assert (first.is_set(), second.is_set(), other.is_set()) == (True, True, False)
        await changed(first)
        assert not first.is_set()


async def test_nobody_waits_after_the_block() -> None:
    waiters = Waiters()
    with waiters.waiting_for("1") as event:
        pass
    waiters.command_changed("1")
    assert not event.is_set()


async def test_waiting_ends_without_news() -> None:
    async with asyncio.timeout(10):
        await changed(asyncio.Event(), 0.01)


async def test_those_who_wait_are_limited() -> None:
    waiters = Waiters()
    stack = [waiters.waiting_for(str(number)) for number in range(1000)]
    for waiting in stack:
        waiting.__enter__()
    with pytest.raises(QueueFull), waiters.waiting_for("x"):
        pass
    stack.pop().__exit__(None, None, None)
    with waiters.waiting_for("x"):
        pass


async def test_closing_wakes_all() -> None:
    waiters = Waiters()
    with waiters.waiting_for("1") as first, waiters.waiting_for("2") as second:
        await waiters.close()
        assert first.is_set()
        assert second.is_set()
    assert waiters.closed
