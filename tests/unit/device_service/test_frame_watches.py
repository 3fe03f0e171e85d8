"""Who may watch where, and what a slow watcher is told."""

import asyncio
from datetime import UTC, datetime

import pytest

from device_service import frame_watches
from device_service.domain.commands import ChargePointOffline
from device_service.domain.frames import Frame
from device_service.frame_watches import FrameWatch, LinkedFrames
from device_service.links import Attachment, BeginWatch, EndWatch, Link, Links
from device_service.ports import Lease
from device_service.registry.memory import Board, MemoryRegistry
from servicekit.errors import QueueFull, ServiceUnavailable
from tests.support.waiting import until


def a_frame(text: str = "") -> Frame:
    return Frame(
        datetime(2026, 1, 2, tzinfo=UTC),
        from_charge_point=True,
        text=text,
        action="",
        repairs=(),
        connection_id="c1",
    )


def a_link(links: Links, gateway: str = "g", generation: int = 1) -> Link:
    link = Link(gateway, f"i-{gateway}", 1, notify=lambda: None)
    links.open(link)
    links.attach(link, Attachment("CP-1", f"c{generation}", generation))
    return link


async def watching(frames: LinkedFrames) -> Frame:
    return await anext(frames.watch("CP-1"))


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def links() -> Links:
    return Links()


@pytest.fixture
def frames(links: Links, board: Board) -> LinkedFrames:
    return LinkedFrames(links, MemoryRegistry("here", board), "here")


async def test_frames_of_the_link_are_shown(links: Links, frames: LinkedFrames) -> None:
    link = a_link(links)
    watch = frames.watch("CP-1")
    first = asyncio.ensure_future(anext(watch))
    await until(lambda: bool(link.watches))
    begin = link.next_message()
    assert isinstance(begin, BeginWatch)
    link.show(begin.watch_id, [a_frame("one"), a_frame("two")], 2)
    link.show("another", [a_frame("other")], 0)
    assert ((await first).text, first.result().dropped_count) == ("one", 2)
    assert (await anext(watch)).text == "two"
    await watch.aclose()
    assert link.next_message() == EndWatch(begin.watch_id)
    assert not link.watches


async def test_link_that_ends_ends_its_watches(links: Links, frames: LinkedFrames) -> None:
    link = a_link(links)
    first = asyncio.ensure_future(watching(frames))
    await until(lambda: bool(link.watches))
    link.end()
    with pytest.raises(ServiceUnavailable):
        await first


async def test_charge_point_that_comes_back_elsewhere_ends_the_watch(
    links: Links, frames: LinkedFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_watches, "_LOOK_INTERVAL_S", 0.01)
    link = a_link(links)
    first = asyncio.ensure_future(watching(frames))
    await until(lambda: bool(link.watches))
    a_link(links, "other", generation=2)
    with pytest.raises(ServiceUnavailable):
        await first


async def test_watcher_is_sent_to_the_replica_that_holds_the_charge_point(
    frames: LinkedFrames, board: Board
) -> None:
    with pytest.raises(ChargePointOffline):
        await watching(frames)
    await MemoryRegistry("there", board).hold([Lease("CP-1", 1, 1)])
    with pytest.raises(ServiceUnavailable):
        await watching(frames)


async def test_watchers_are_bounded(
    links: Links, frames: LinkedFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_watches, "_MAX_WATCHES", 1)
    link = a_link(links)
    first = asyncio.ensure_future(watching(frames))
    await until(lambda: bool(link.watches))
    with pytest.raises(QueueFull):
        await watching(frames)
    link.end()
    with pytest.raises(ServiceUnavailable):
        await first


async def test_slow_watcher_keeps_the_newest_and_learns_what_it_missed() -> None:
    watch = FrameWatch()
    for number in range(1100):
        watch.add([a_frame(str(number))], 0)
    frames = await watch.take(1)
    assert (len(frames), frames[0].text, frames[0].dropped_count) == (1000, "100", 100)
    assert await watch.take(0.01) == []
