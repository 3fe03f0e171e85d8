"""Frames of charge points, shown over the link to those who watch."""

import json
from collections.abc import AsyncIterator

import pytest

from csms.gateway.v1 import gateway_link_pb2 as pb
from tests.fakes.gateway_link import LinkEnd
from tests.integration.gateway.harness import Installation, answer, ask, authorize, frame, installed
from tests.integration.gateway.test_commands import CHANGE_KEY, SECRET, connected
from tests.support.waiting import until


@pytest.fixture
async def gateway() -> AsyncIterator[Installation]:
    async with installed(journal_frames=4) as installation:
        yield installation


def shown(link: LinkEnd, watch_id: str = "w") -> list[pb.Frame]:
    return [
        it
        for batch in link.of("watched_frames")
        if batch.watch_id == watch_id
        for it in batch.frames
    ]


def begin(link: LinkEnd, watch_id: str = "w") -> None:
    link.say(watch_frames=pb.WatchFrames(watch_id=watch_id, charge_point_id="CP-1"))


async def test_kept_frames_come_first_then_each_as_it_passes(gateway: Installation) -> None:
    socket = await connected(gateway)
    for message_id in ("1", "2", "3"):
        await ask(socket, authorize(message_id))
    link = gateway.link.newest
    begin(link)
    await until(lambda: len(shown(link)) == 4)
    await ask(socket, frame("4", "Heartbeat"))
    await until(lambda: len(shown(link)) == 6)
    frames = shown(link)
    assert [json.loads(it.text)[1] for it in frames] == ["2", "2", "3", "3", "4", "4"]
    assert [it.from_charge_point for it in frames] == [True, False] * 3
    assert [it.action for it in frames] == ["Authorize"] * 4 + ["Heartbeat"] * 2
    assert {it.connection_id for it in frames} == {gateway.link.connection_id()}
    assert [it.time.ToMicroseconds() for it in frames] == sorted(
        it.time.ToMicroseconds() for it in frames
    )


async def test_repairs_are_shown_with_the_text_as_it_came(gateway: Installation) -> None:
    socket = await connected(gateway)
    begin(gateway.link.newest)
    await ask(socket, frame("1", "Authorize", {"idTag": 12}))
    await until(lambda: len(shown(gateway.link.newest)) == 2)
    frames = shown(gateway.link.newest)
    assert frames[0].repairs
    assert '"idTag": 12' in frames[0].text
    assert not frames[1].repairs


async def test_secrets_are_masked_both_ways(gateway: Installation) -> None:
    socket = await connected(gateway)
    gateway.link.deliver(CHANGE_KEY)
    call = await answer(socket)
    keys = [{"key": "AuthorizationKey", "readonly": False, "value": SECRET}]
    await socket.send(json.dumps([3, call[1], {"status": "Accepted", "configurationKey": keys}]))
    link = gateway.link.newest
    begin(link)
    await until(lambda: len(shown(link)) == 2)
    assert [it.action for it in shown(link)] == ["ChangeConfiguration"] * 2
    assert SECRET not in str(shown(link))


async def test_watch_ends_when_it_is_ended(gateway: Installation) -> None:
    socket = await connected(gateway)
    link = gateway.link.newest
    begin(link, "first")
    begin(link, "second")
    await ask(socket, frame("1", "Heartbeat"))
    await until(lambda: len(shown(link, "second")) == 2)
    link.say(unwatch_frames=pb.UnwatchFrames(watch_id="first"))
    seen = len(shown(link, "first"))
    await until(link.answers.empty)
    beats = len(link.of("heartbeat"))
    await until(lambda: len(link.of("heartbeat")) > beats + 1)
    await ask(socket, frame("2", "Heartbeat"))
    await until(lambda: len(shown(link, "second")) == 4)
    assert len(shown(link, "first")) == seen == 2


async def test_watch_waits_for_a_charge_point_and_ends_with_the_link(gateway: Installation) -> None:
    first = gateway.link.newest
    begin(first)
    socket = await connected(gateway)
    await ask(socket, frame("1", "Heartbeat"))
    await until(lambda: len(shown(first)) == 2)
    first.end()
    await until(lambda: len(gateway.link.links) == 2)
    await ask(socket, frame("2", "Heartbeat"))
    begin(gateway.link.newest, "again")
    await until(lambda: len(shown(gateway.link.newest, "again")) == 4)
    assert not shown(gateway.link.newest)
