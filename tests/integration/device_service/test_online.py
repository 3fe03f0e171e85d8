"""Whether a charge point counts as connected: generations and leases."""

from typing import Any

from csms.gateway.v1 import call_pb2
from csms.v1 import charge_point_service_pb2 as pb
from tests.integration.device_service.gateway import (
    Caller,
    Platform,
    a_beat,
    exchange,
    opened,
)


def closed() -> call_pb2.ConnectionClosed:
    return call_pb2.ConnectionClosed(close_code=1006, reason="line dropped")


async def store(platform: Platform, *calls: call_pb2.Call) -> None:
    for answer in await exchange(platform, *calls):
        assert answer.WhichOneof("outcome") == "report_stored", answer


async def beat(platform: Platform, *identities: str, instance: str = "instance-1") -> None:
    report = a_beat(platform.clock.now(), *identities, instance=instance)
    await store(platform, Caller(platform.clock, "", "").report(report))


async def test_opened_connection_is_online_at_once(platform: Platform) -> None:
    await platform.create("CP-1")
    await store(platform, Caller(platform.clock).report(opened()))
    read = await platform.get("CP-1")
    assert read.online
    assert (read.remote_address, read.gateway) == ("192.0.2.1:4000", "gateway-1")
    assert read.connect_time == read.last_seen_time == read.create_time


async def test_closed_connection_is_offline_and_still_described(platform: Platform) -> None:
    await platform.create("CP-1")
    caller = Caller(platform.clock)
    await store(platform, caller.report(opened()), caller.report(closed()))
    read = await platform.get("CP-1")
    assert not read.online
    assert read.gateway == "gateway-1"


async def test_late_close_of_a_replaced_connection_changes_nothing(platform: Platform) -> None:
    await platform.create("CP-1")
    old, new = (Caller(platform.clock, connection=name) for name in ("old", "new"))
    await store(platform, old.report(opened()))
    platform.clock.move(seconds=1)
    await store(platform, new.report(opened("instance-2", "gateway-2")))
    platform.clock.move(seconds=1)
    await store(platform, old.report(closed()))
    read = await platform.get("CP-1")
    assert read.online
    assert read.gateway == "gateway-2"
    await store(platform, new.report(closed()))
    assert not (await platform.get("CP-1")).online


async def test_repeated_opening_does_not_replace_a_newer_connection(platform: Platform) -> None:
    await platform.create("CP-1")
    old, new = (Caller(platform.clock, connection=name) for name in ("old", "new"))
    first = old.report(opened())
    await store(platform, first)
    platform.clock.move(seconds=1)
    await store(platform, new.report(opened("instance-2", "gateway-2")))
    await store(platform, first)
    assert (await platform.get("CP-1")).gateway == "gateway-2"


async def test_repeated_opening_does_not_open_a_closed_connection_again(
    platform: Platform,
) -> None:
    await platform.create("CP-1")
    caller = Caller(platform.clock)
    opening, closing = caller.report(opened()), caller.report(closed())
    await store(platform, opening, closing)
    await store(platform, opening)
    assert not (await platform.get("CP-1")).online
    await store(platform, closing, closing)
    assert not (await platform.get("CP-1")).online


async def test_connection_can_open_again_after_a_close(platform: Platform) -> None:
    await platform.create("CP-1")
    first, second = (Caller(platform.clock, connection=name) for name in ("1", "2"))
    await store(platform, first.report(opened()), first.report(closed()))
    platform.clock.move(seconds=1)
    await store(platform, second.report(opened()))
    assert (await platform.get("CP-1")).online


async def test_close_of_a_connection_that_nobody_opened_is_harmless(platform: Platform) -> None:
    await platform.create("CP-1")
    await store(platform, Caller(platform.clock).report(closed()))
    assert not (await platform.get("CP-1")).online


async def test_gateway_that_misses_its_beats_loses_its_charge_points(platform: Platform) -> None:
    for identity, instance in (("CP-1", "instance-1"), ("CP-2", "instance-2")):
        await platform.create(identity)
        await store(platform, Caller(platform.clock, identity).report(opened(instance)))
    platform.clock.move(seconds=10)
    await beat(platform, instance="instance-1")
    platform.clock.move(seconds=10)
    assert (await platform.get("CP-1")).online
    assert not (await platform.get("CP-2")).online
    platform.clock.move(seconds=5)  # the lease of 15 seconds has run out to the second
    assert not (await platform.get("CP-1")).online
    await beat(platform, instance="instance-1")
    assert (await platform.get("CP-1")).online


async def test_gateway_that_was_long_gone_is_forgotten(platform: Platform) -> None:
    await platform.create("CP-1")
    await store(platform, Caller(platform.clock).report(opened()))
    platform.clock.move(days=2)
    await beat(platform, instance="instance-2")
    assert not (await platform.get("CP-1")).online


async def test_beat_tells_when_charge_points_were_heard(platform: Platform) -> None:
    for identity in ("CP-1", "CP-2"):
        await platform.create(identity)
        await store(platform, Caller(platform.clock, identity).report(opened()))
    platform.clock.move(seconds=5)
    await beat(platform, "CP-1", "nobody-knows-it")
    heard, quiet = await platform.get("CP-1"), await platform.get("CP-2")
    assert heard.last_seen_time.seconds - quiet.last_seen_time.seconds == 5


async def test_older_beat_does_not_turn_time_back(platform: Platform) -> None:
    await platform.create("CP-1")
    caller = Caller(platform.clock)
    await store(platform, caller.report(opened()))
    older = a_beat(platform.clock.now(), "CP-1")
    platform.clock.move(seconds=5)
    await beat(platform, "CP-1")
    before = await platform.get("CP-1")
    await store(platform, caller.report(older))
    assert await platform.get("CP-1") == before


async def test_list_keeps_those_that_are_online(platform: Platform) -> None:
    for identity in ("CP-1", "CP-2", "CP-3"):
        await platform.create(identity)
        platform.clock.move(seconds=1)
    await store(platform, Caller(platform.clock, "CP-2").report(opened()))

    async def listed(**filters: Any) -> list[str]:
        request = pb.ListChargePointsRequest(**filters)
        page = await platform.charge_points.ListChargePoints(request)
        assert page.total_size == len(page.charge_points)
        return [item.name.removeprefix("chargePoints/") for item in page.charge_points]

    assert await listed(online=True) == ["CP-2"]
    assert await listed(online=False) == ["CP-3", "CP-1"]
    assert await listed() == ["CP-3", "CP-2", "CP-1"]


async def test_connection_outlives_the_record(platform: Platform) -> None:
    await platform.create("CP-1")
    await store(platform, Caller(platform.clock).report(opened()))
    await platform.charge_points.DeleteChargePoint(
        pb.DeleteChargePointRequest(name="chargePoints/CP-1")
    )
    assert (await platform.create("CP-1")).online
