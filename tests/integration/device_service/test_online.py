"""Whether a charge point counts as connected: generations and leases."""

from datetime import datetime
from typing import Any

import pytest

from csms.v1 import charge_point_service_pb2 as pb
from tests.fakes.linked_gateway import LinkedGateway
from tests.integration.device_service.conftest import StartPlatform
from tests.integration.device_service.gateway import Platform
from tests.support.waiting import eventually


@pytest.fixture
def gateway(platform: Platform) -> LinkedGateway:
    return LinkedGateway(platform.clock)


async def becomes(platform: Platform, identity: str, **values: Any) -> pb.ChargePoint:
    """Wait until a charge point has these values and return it."""

    async def so() -> bool:
        read = await platform.get(identity)
        return all(getattr(read, name) == value for name, value in values.items())

    await eventually(so)
    return await platform.get(identity)


async def test_opened_connection_is_online(platform: Platform, gateway: LinkedGateway) -> None:
    await platform.create("CP-1")
    link = await gateway.link(platform.channel)
    await link.attach("CP-1", "conn-1")
    read = await becomes(platform, "CP-1", online=True)
    assert (read.remote_address, read.gateway) == ("192.0.2.1:4000", "gateway-1")
    assert (read.connection, read.connection_generation) == ("conn-1", 1)
    assert read.connect_time == read.last_seen_time == read.create_time


async def test_closed_connection_is_offline_and_still_described(
    platform: Platform, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    gateway.connect("CP-1")
    link = await gateway.link(platform.channel)
    await link.detach("CP-1")
    assert (await becomes(platform, "CP-1", online=False)).gateway == "gateway-1"


async def test_late_close_of_a_replaced_connection_changes_nothing(
    platform: Platform, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    gateway.connect("CP-1")
    old = await gateway.link(platform.channel)
    platform.clock.move(seconds=1)
    new_gateway = LinkedGateway(platform.clock, "gateway-2")
    new_gateway.connect("CP-1")
    new = await new_gateway.link(platform.channel)
    platform.clock.move(seconds=1)
    await old.detach("CP-1")
    await old.leave()  # so that all it told is stored
    read = await platform.get("CP-1")
    assert read.online
    assert (read.gateway, read.connection_generation) == ("gateway-2", 2)
    await new.detach("CP-1")
    await becomes(platform, "CP-1", online=False)


async def test_repeated_opening_does_not_replace_a_newer_connection(
    platform: Platform, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    first = gateway.connect("CP-1")
    link = await gateway.link(platform.channel)
    platform.clock.move(seconds=1)
    await link.attach("CP-1", "newer")
    await becomes(platform, "CP-1", connection="newer")
    await link.say(attached=first)
    await link.leave()
    assert (await platform.get("CP-1")).connection == "newer"


async def test_connection_can_open_again_after_a_close(
    platform: Platform, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    link = await gateway.link(platform.channel)
    await link.attach("CP-1")
    await link.detach("CP-1")
    platform.clock.move(seconds=1)
    await link.attach("CP-1")
    await becomes(platform, "CP-1", online=True, connection_generation=2)


async def test_close_of_a_connection_that_nobody_opened_is_harmless(
    platform: Platform, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    link = await gateway.link(platform.channel)
    gateway.connect("CP-1")
    await link.detach("CP-1")
    await link.leave()
    assert not (await platform.get("CP-1")).online


async def test_gateway_that_misses_its_beats_loses_its_charge_points(platform: Platform) -> None:
    links = []
    for number in (1, 2):
        await platform.create(f"CP-{number}")
        gateway = LinkedGateway(platform.clock, f"gateway-{number}")
        gateway.connect(f"CP-{number}")
        links.append(await gateway.link(platform.channel, beats=False))
    platform.clock.move(seconds=10)
    await links[0].beat("CP-1")
    await heard(platform, "CP-1", platform.clock.now())
    platform.clock.move(seconds=10)
    assert (await platform.get("CP-1")).online
    assert not (await platform.get("CP-2")).online
    platform.clock.move(seconds=5)  # the lease of 15 seconds has run out to the second
    assert not (await platform.get("CP-1")).online


async def test_gateway_that_was_long_gone_is_forgotten(platform: Platform) -> None:
    await platform.create("CP-1")
    gateway = LinkedGateway(platform.clock)
    gateway.connect("CP-1")
    await (await gateway.link(platform.channel, beats=False)).break_off()
    platform.clock.move(days=2)
    await LinkedGateway(platform.clock, "gateway-2").link(platform.channel)
    assert not (await platform.get("CP-1")).online


async def heard(platform: Platform, identity: str, time: datetime) -> None:
    async def so() -> bool:
        return (await platform.get(identity)).last_seen_time.seconds == int(time.timestamp())

    await eventually(so)


async def test_beat_tells_when_charge_points_were_heard(
    platform: Platform, gateway: LinkedGateway
) -> None:
    for identity in ("CP-1", "CP-2"):
        await platform.create(identity)
        gateway.connect(identity)
    link = await gateway.link(platform.channel)
    platform.clock.move(seconds=5)
    await link.beat("CP-1", "nobody-knows-it")
    await heard(platform, "CP-1", platform.clock.now())
    read, quiet = await platform.get("CP-1"), await platform.get("CP-2")
    assert read.last_seen_time.seconds - quiet.last_seen_time.seconds == 5


async def test_list_keeps_those_that_are_online(
    start_platform: StartPlatform,
) -> None:
    platform = await start_platform()
    for identity in ("CP-1", "CP-2", "CP-3"):
        await platform.create(identity)
        platform.clock.move(seconds=1)
    gateway = LinkedGateway(platform.clock)
    gateway.connect("CP-2")
    await gateway.link(platform.channel)

    async def listed(**filters: Any) -> list[str]:
        request = pb.ListChargePointsRequest(**filters)
        page = await platform.charge_points.ListChargePoints(request)
        assert page.total_size == len(page.charge_points)
        return [item.name.removeprefix("chargePoints/") for item in page.charge_points]

    assert await listed(online=True) == ["CP-2"]
    assert await listed(online=False) == ["CP-3", "CP-1"]
    assert await listed() == ["CP-3", "CP-2", "CP-1"]
