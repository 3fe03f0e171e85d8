"""Two replicas of device_service on one database: with Redis between them, and without."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from csms.v1 import command_service_pb2 as pb
from tests.fakes.linked_gateway import LinkedGateway, LinkEnd
from tests.integration.device_service.commands import Operator, id_of, reset
from tests.integration.device_service.conftest import StartPlatform
from tests.integration.device_service.gateway import Platform
from tests.support.redis import Redis, running_redis
from tests.support.waiting import eventually

SLOW_POLL_S = 60
"""So that a command which arrives was told of, not found."""


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    async with running_redis(tmp_path) as redis:
        yield redis


async def replicas(
    start: StartPlatform, redis: Redis, poll_s: float = SLOW_POLL_S
) -> tuple[Platform, Platform]:
    settings = {"redis_url": redis.url, "command_poll_interval_s": poll_s}
    both = await start(**settings), await start(**settings)
    await redis.heard_by(2)
    return both


async def a_linked_charge_point(platform: Platform) -> tuple[LinkedGateway, LinkEnd]:
    await platform.create("CP-1")
    gateway = LinkedGateway(platform.clock)
    gateway.connect("CP-1")
    return gateway, await gateway.link(platform.channel)


async def test_command_reaches_the_replica_that_holds_the_link(
    start_platform: StartPlatform, redis: Redis
) -> None:
    here, there = await replicas(start_platform, redis)
    _, link = await a_linked_charge_point(there)
    operator = Operator(here)
    created = await operator.create()
    await link.sent((await link.command()).command_id)
    await link.answer(id_of(created))
    ended = await operator.get(created.name, wait_s=15)
    assert ended.state == pb.Command.STATE_COMPLETED


async def test_link_at_another_replica_takes_over(
    start_platform: StartPlatform, redis: Redis
) -> None:
    here, there = await replicas(start_platform, redis)
    gateway, link = await a_linked_charge_point(there)
    again = await gateway.link(here.channel)
    assert await link.ended() is grpc.StatusCode.ABORTED
    created = await Operator(there).create()
    assert (await again.command()).command_id == id_of(created)
    assert not link.of("deliver_command")


async def test_commands_go_on_after_redis_came_back_empty(
    start_platform: StartPlatform, redis: Redis
) -> None:
    here, there = await replicas(start_platform, redis)
    _, link = await a_linked_charge_point(there)
    operator = Operator(here)
    await redis.stop()
    await redis.start()

    async def delivered() -> bool:
        # The first may be told of while nobody listens; the next wakes the same charge point.
        await operator.create(**reset())
        return bool(link.of("deliver_command"))

    await eventually(delivered)


async def test_commands_go_on_while_redis_is_away(
    start_platform: StartPlatform, redis: Redis
) -> None:
    here, there = await replicas(start_platform, redis, poll_s=0.2)
    _, link = await a_linked_charge_point(there)
    await redis.stop()
    local = await Operator(there).create()
    assert (await link.command()).command_id == id_of(local)
    await link.answer(id_of(local))
    remote = await Operator(here).create()
    assert (await link.command(2)).command_id == id_of(remote)


async def test_replaced_link_ends_though_nobody_is_told(
    start_platform: StartPlatform, redis: Redis
) -> None:
    here, there = await replicas(start_platform, redis, poll_s=0.2)
    await redis.stop()
    gateway, older = await a_linked_charge_point(there)
    await gateway.link(here.channel)
    assert await older.ended() is grpc.StatusCode.ABORTED
