"""Waiting for commands within one process."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from device_service.domain import ChargePointId
from device_service.domain.commands import Command
from device_service.use_cases.waiters import News, Waiters
from servicekit.errors import QueueFull

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def a_command() -> Command:
    return Command(
        uuid.uuid4(), ChargePointId("CP-1"), "Reset", b"", "", NOW, NOW + timedelta(minutes=1)
    )


async def test_change_wakes_those_who_wait_for_the_command() -> None:
    waiters, command = Waiters(), a_command()
    with (
        waiters.waiting_for("1") as first,
        waiters.waiting_for("1") as second,
        waiters.waiting_for("2") as other,
    ):
        waiters.command_changed("1", command)
        assert (first.is_unheard, second.is_unheard, other.is_unheard) == (True, True, False)
        assert await first.next() is command
        assert not first.is_unheard


async def test_of_several_changes_the_last_is_told() -> None:
    waiters, command = Waiters(), a_command()
    with waiters.waiting_for("1") as news:
        waiters.command_changed("1")
        waiters.command_changed("1", command)
        assert await news.next() is command
        waiters.command_changed("1", command)
        waiters.command_changed("1")
        assert await news.next() is None


async def test_nobody_waits_after_the_block() -> None:
    waiters = Waiters()
    with waiters.waiting_for("1") as news:
        pass
    waiters.command_changed("1")
    assert not news.is_unheard


async def test_waiting_ends_without_news() -> None:
    async with asyncio.timeout(10):
        assert await News().next(0.01) is None


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
        assert first.is_unheard
        assert second.is_unheard
    assert waiters.closed
