"""Frames of charge points, from the link of a gateway to whoever watches."""

from typing import Any

import grpc
import pytest

from csms.gateway.v1 import gateway_link_pb2 as link_pb
from csms.v1 import charge_point_service_pb2 as pb
from csms.v1 import charge_point_service_pb2_grpc as pb_grpc
from tests.fakes.linked_gateway import LinkedGateway, LinkEnd
from tests.integration.device_service.gateway import Platform
from tests.support.errors import failure
from tests.support.waiting import eventually, until


def watch(platform: Platform, identity: str = "CP-1") -> Any:
    stub = pb_grpc.ChargePointServiceStub(platform.channel)
    return stub.WatchFrames(pb.WatchFramesRequest(parent=f"chargePoints/{identity}"), timeout=20)


async def attached(platform: Platform, gateway: LinkedGateway) -> LinkEnd:
    link = await gateway.link(platform.channel)
    await link.attach("CP-1")

    async def online() -> bool:
        return (await platform.get("CP-1")).online

    await eventually(online)
    return link


async def begun(link: LinkEnd) -> link_pb.WatchFrames:
    await until(lambda: bool(link.of("watch_frames")))
    asked = link.of("watch_frames")[0]
    assert isinstance(asked, link_pb.WatchFrames)
    return asked


async def show(link: LinkEnd, watch_id: str, *texts: str, dropped: int = 0) -> None:
    frames = [
        link_pb.Frame(text=text, action="Reset", repairs=["rule"], connection_id="c1")
        for text in texts
    ]
    frames[0].from_charge_point = True
    frames[0].time.FromDatetime(link.gateway.clock.now())
    await link.say(
        watched_frames={"watch_id": watch_id, "frames": frames, "dropped_count": dropped}
    )


async def test_frames_come_in_order_until_the_watcher_goes(platform: Platform) -> None:
    await platform.create("CP-1")
    link = await attached(platform, LinkedGateway(platform.clock))
    watching = watch(platform)
    asked = await begun(link)
    assert asked.charge_point_id == "CP-1"
    await show(link, asked.watch_id, "one", "two", dropped=3)
    first, second = await watching.read(), await watching.read()
    assert (first.text, first.action, first.repairs) == ("one", "Reset", ["rule"])
    assert (first.direction, first.dropped_count) == (pb.FRAME_DIRECTION_FROM_CHARGE_POINT, 3)
    assert first.time.seconds == int(platform.clock.now().timestamp())
    assert (second.direction, second.dropped_count) == (pb.FRAME_DIRECTION_TO_CHARGE_POINT, 0)
    watching.cancel()
    await until(lambda: [it.watch_id for it in link.of("unwatch_frames")] == [asked.watch_id])
    await show(link, asked.watch_id, "for nobody")
    assert link.code is None
    await link.leave()


async def test_watch_ends_with_the_link(platform: Platform) -> None:
    await platform.create("CP-1")
    link = await attached(platform, LinkedGateway(platform.clock))
    watching = watch(platform)
    await begun(link)
    await link.leave()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await watching.read()
    assert failure(raised).reason == "SERVICE_UNAVAILABLE"


async def test_nobody_and_who_is_away_cannot_be_watched(platform: Platform) -> None:
    await platform.create("CP-1")
    for identity, reason in (
        ("CP-1", "CHARGE_POINT_OFFLINE"),
        ("NOBODY", "CHARGE_POINT_NOT_FOUND"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await watch(platform, identity).read()
        assert failure(raised).reason == reason
