"""WatchSessions: what happens to sessions, each thing once and in one order."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import psycopg
import pytest

from csms.v1 import session_service_pb2 as pb
from csms.v1 import session_service_pb2_grpc as pb_grpc
from deploy.process import Process
from servicekit.grpc_client import open_channel
from servicekit.outbox import watch as outbox_module
from servicekit.outbox.cursor import Cursor
from tests.integration.session_service.conftest import (
    Gateway,
    Platform,
    at,
    gateway_to,
    session_gateway,
)
from tests.support.errors import failure
from tests.support.postgres import ROOT
from tests.support.services import free_address
from tests.support.waiting import until

CURSOR = pb.SessionEvent.TYPE_CURSOR
STARTED = pb.SessionEvent.TYPE_SESSION_STARTED
ENDED = pb.SessionEvent.TYPE_SESSION_ENDED
CHANGED = pb.SessionEvent.TYPE_SESSION_CHANGED
Stub: TypeAlias = "pb_grpc.SessionServiceAsyncStub"
PATIENCE_S = 60


class Watch:
    """A stream of events and where it stands."""

    def __init__(self, sessions: Stub, **request: Any) -> None:
        self._call = sessions.WatchSessions(pb.WatchSessionsRequest(**request))
        self._messages = aiter(self._call)
        self.cursor = ""

    async def message(self) -> pb.SessionEvent:
        async with asyncio.timeout(PATIENCE_S):
            message = await anext(self._messages)
        self.cursor = message.cursor
        return message

    async def begun(self) -> Watch:
        assert (await self.message()).type == CURSOR
        return self

    async def event(self) -> pb.SessionEvent:
        while (message := await self.message()).type == CURSOR:
            pass
        return message

    def cut(self) -> None:
        self._call.cancel()


async def watching(sessions: Stub, **request: Any) -> Watch:
    return await Watch(sessions, **request).begun()


async def test_start_and_stop_are_told_with_the_session(platform: Platform) -> None:
    await platform.tag()
    watch = await watching(platform.sessions)
    answer = await platform.gateway.start()
    began = await watch.event()
    assert (began.type, began.session) == (STARTED, await platform.the_session())
    await platform.gateway.stop(answer.transaction_id)
    ended = await watch.event()
    assert (ended.type, ended.session) == (ENDED, await platform.the_session())
    assert began.event_time.ToNanoseconds() > 0
    assert len({began.cursor, ended.cursor}) == 2


async def test_repeats_are_told_once(platform: Platform) -> None:
    await platform.tag()
    watch = await watching(platform.sessions)
    for connector_id in (1, 1, 2):
        answer = await platform.gateway.start(connector_id=connector_id)
    for _ in range(2):
        await platform.gateway.stop(answer.transaction_id)
    await platform.gateway.start(connector_id=3)
    events = [await watch.event() for _ in range(4)]
    assert [(event.type, event.session.connector_id) for event in events] == [
        (STARTED, 1),
        (STARTED, 2),
        (ENDED, 2),
        (STARTED, 3),
    ]


async def test_start_that_comes_to_two_replicas_at_once_is_told_once(
    platform: Platform, database_url: str, auth_address: str
) -> None:
    await platform.tag()
    watch = await watching(platform.sessions)
    charge_points = [f"CP-{number}" for number in range(10)]
    async with session_gateway(database_url, auth_address) as other:
        for charge_point_id in charge_points:
            await asyncio.gather(
                *(here.gateway.start(charge_point_id) for here in (platform, other))
            )
    told = [(await watch.event()).session.charge_point for _ in charge_points]
    assert told == [f"chargePoints/{charge_point_id}" for charge_point_id in charge_points]


async def test_every_end_is_told_and_every_correction(platform: Platform) -> None:
    watch = await watching(platform.sessions)
    first = (await platform.gateway.start()).transaction_id
    second = (await platform.gateway.start(timestamp=at(7200))).transaction_id
    await platform.gateway.stop(first)
    name = (await platform.session(second)).name
    for meter_stop in (2000, 3000):
        await platform.sessions.CloseSession(
            pb.CloseSessionRequest(name=name, meter_stop_wh=meter_stop, stop_time=at(7300))
        )
    events = [await watch.event() for _ in range(6)]
    assert [
        (event.type, event.session.ocpp_transaction_id, event.session.meter_stop_wh)
        for event in events
    ] == [
        (STARTED, first, 0),
        (STARTED, second, 0),
        (ENDED, first, 1000),  # inferred
        (CHANGED, first, 5000),
        (ENDED, second, 2000),
        (CHANGED, second, 3000),
    ]
    assert events[3].session in await platform.all_sessions()


async def test_stop_that_came_before_its_start_is_told_after_it(platform: Platform) -> None:
    watch = await watching(platform.sessions)
    await platform.gateway.stop(-1)
    await platform.gateway.start()
    assert [(await watch.event()).type for _ in range(2)] == [STARTED, ENDED]


async def test_watch_keeps_to_one_charge_point(platform: Platform) -> None:
    await platform.tag()
    watch = await watching(platform.sessions, charge_point="chargePoints/CP-2")
    for charge_point_id in ("CP-1", "CP-2"):
        await platform.gateway.start(charge_point_id)
    assert (await watch.event()).session.charge_point == "chargePoints/CP-2"


async def test_watch_goes_on_at_another_replica(
    platform: Platform, database_url: str, auth_address: str
) -> None:
    await platform.tag()
    here = await watching(platform.sessions)
    first = (await platform.gateway.start()).transaction_id
    await here.event()
    here.cut()
    second = (await platform.gateway.start("CP-2")).transaction_id
    async with session_gateway(database_url, auth_address) as other:
        there = await watching(other.sessions, cursor=here.cursor)
        assert (await there.event()).session.ocpp_transaction_id == second
        await platform.gateway.stop(first)
        assert (await there.event()).session.ocpp_transaction_id == first


async def test_wrong_request_tells_all_that_is_wrong(platform: Platform) -> None:
    for cursor in ("nonsense", "ü", "WyJhIiwtMV0"):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await watching(platform.sessions, cursor=cursor, charge_point="sessions/1")
        refused = failure(raised)
        assert (refused.code, refused.fields) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            ("cursor", "charge_point"),
        )


async def test_cursor_behind_which_events_are_gone_is_refused(platform: Platform) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await watching(platform.sessions, cursor=str(Cursor("another", 0)))
    refused = failure(raised)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.OUT_OF_RANGE,
        "EVENT_CURSOR_EXPIRED",
    )


async def test_quiet_watch_tells_its_cursor_now_and_then(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "_HEARTBEAT_S", 0.01)
    watch = await watching(platform.sessions)
    assert await watch.message() == pb.SessionEvent(cursor=watch.cursor, type=CURSOR)


async def test_stop_of_the_service_sends_watchers_elsewhere(
    platform: Platform, database_url: str, auth_address: str, tmp_path: Path
) -> None:
    await platform.tag()
    async with (
        replica(database_url, auth_address, tmp_path) as other,
        open_channel(other.address) as channel,
    ):
        await channel.channel_ready()
        watch = await watching(pb_grpc.SessionServiceStub(channel))
        await other.process.stop()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await watch.event()
    ended = failure(raised)
    assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    await platform.gateway.start()
    assert (await (await watching(platform.sessions, cursor=watch.cursor)).event()).type == STARTED


# --- counting ---------------------------------------------------------------

CHARGE_POINTS, SESSIONS = 12, 6
LAST = "chargePoints/LAST"
EVENTS = 2 * CHARGE_POINTS * SESSIONS
# Some transactions linger between what they append and their commit, and others pass them by.
SLOW_COMMIT = """
SET search_path TO session;
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF random() < 0.2 THEN PERFORM pg_sleep(0.5); END IF; RETURN NULL; END';
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION dawdle();
"""


@asynccontextmanager
async def replica(database_url: str, auth_address: str, folder: Path) -> AsyncIterator[Replica]:
    """Run session_service as a process that can be killed."""
    replica = Replica(database_url, auth_address, folder)
    await replica.process.start()
    yield replica
    await replica.process.stop()


class Replica:
    """A process of session_service."""

    def __init__(self, database_url: str, auth_address: str, folder: Path) -> None:
        self.address = free_address()
        settings = {
            "CSMS_LISTEN": self.address,
            "CSMS_DATABASE_URL": database_url,
            "CSMS_AUTH_ADDRESS": auth_address,
            "CSMS_DEVICE_ADDRESS": free_address(),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "protos" / "gen"))),
        }
        self.process = Process(
            "session_service",
            [sys.executable, "-m", "session_service"],
            folder / "session_service.log",
            env={**os.environ, **settings},
            stop_timeout_s=20,
        )


Seen: TypeAlias = list[tuple[int, int]]


class Count:
    """What charge points did, and what each watcher saw of it."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.expected: Seen = []

    def has(self, events: int) -> bool:
        """Tell whether so much has happened."""
        return len(self.expected) >= events

    async def charge(self, gateway: Gateway, charge_point_id: str) -> None:
        """Start and stop sessions, each as soon as the one before is over."""
        for number in range(SESSIONS):
            meter_start = 1000 * number
            answer = await gateway.start(charge_point_id, meter_start=meter_start)
            await gateway.stop(
                answer.transaction_id, charge_point_id, meter_stop=meter_start + 1000
            )
            self.expected += [(answer.transaction_id, STARTED), (answer.transaction_id, ENDED)]

    async def watch(self, replicas: list[Stub], cursor: str) -> Seen:
        """Return what a watcher saw before the last session began.

        It is cut now and then, or loses its replica, and goes on at either of them.
        """
        seen: Seen = []
        is_over = False
        while not is_over:
            watch = Watch(self.dice.choice(replicas), cursor=cursor)
            try:
                is_over = await self.look(watch, seen)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
            watch.cut()
            cursor = watch.cursor or cursor
        return seen

    async def look(self, watch: Watch, seen: Seen) -> bool:
        """Note what a watch tells, for a while; tell whether the last session has begun."""
        for _ in range(self.dice.randint(1, 20)):
            message = await watch.message()
            if message.session.charge_point == LAST:
                return True
            if message.type != CURSOR:
                seen.append((message.session.ocpp_transaction_id, message.type))
        return False


async def test_every_watcher_counts_every_event_once_while_a_replica_is_killed(
    platform: Platform, database_url: str, auth_address: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(SLOW_COMMIT.encode())
    await platform.tag()
    count = Count(seed=1)
    begin = (await watching(platform.sessions)).cursor
    async with (
        replica(database_url, auth_address, tmp_path) as other,
        open_channel(other.address) as channel,
        gateway_to(channel) as gateway,
    ):
        platform.gateway.patience_s = gateway.patience_s = PATIENCE_S
        stubs: list[Stub] = [platform.sessions, pb_grpc.SessionServiceStub(channel)]
        watchers = [asyncio.create_task(count.watch(stubs, begin)) for _ in range(4)]
        charging = [
            asyncio.create_task(
                count.charge((platform.gateway, gateway)[number % 2], f"CP-{number}")
            )
            for number in range(CHARGE_POINTS)
        ]
        for share in (6, 2):
            await until(partial(count.has, EVENTS // share), PATIENCE_S)
            await other.process.kill()
            assert not count.has(EVENTS)
            await other.process.start()
        await asyncio.gather(*charging)
        await platform.gateway.start("LAST")
        first, *others = await asyncio.gather(*watchers)
    assert len(first) == len(count.expected) == EVENTS
    assert set(first) == set(count.expected)
    assert all(seen == first for seen in others)
    for transaction_id in {transaction_id for transaction_id, _ in first}:
        assert first.index((transaction_id, STARTED)) < first.index((transaction_id, ENDED))
