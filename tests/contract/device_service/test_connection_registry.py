"""Both registries do the same: the one of a single process, and the one in Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from device_service.ports import ConnectionRegistry, Lease
from device_service.registry import Board, MemoryRegistry, RedisRegistry
from tests.support.redis import Redis, running_redis
from tests.support.waiting import eventually, until

NewRegistry = Callable[..., ConnectionRegistry]
OLD, NEW = Lease("CP 1", 1, 1), Lease("CP 1", 2, 1)


class Replica:
    """Keeps what it is told."""

    def __init__(self, registry: ConnectionRegistry, *leases: Lease) -> None:
        self.registry = registry
        self.held = list(leases)
        self.woken: list[str] = []
        self.changed: list[str] = []
        self.epochs: list[tuple[str, int]] = []
        self.outdone: list[Lease] = []

    def wake(self, charge_point_id: str) -> None:
        self.woken.append(charge_point_id)

    def command_changed(self, command_id: str) -> None:
        self.changed.append(command_id)

    def linked(self, gateway_id: str, epoch: int) -> None:
        self.epochs.append((gateway_id, epoch))

    def leases(self) -> Sequence[Lease]:
        return self.held

    def superseded(self, lease: Lease) -> None:
        self.outdone.append(lease)


@pytest.fixture(params=["memory", "redis"])
async def new_registry(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[NewRegistry]:
    """Makes registries that know each other."""
    if request.param == "memory":
        board = Board()
        yield lambda name, ttl_s=30: MemoryRegistry(name, board, ttl_s=ttl_s)
        return
    async with running_redis(tmp_path) as redis:
        yield lambda name, ttl_s=30: RedisRegistry(redis.url, name, ttl_s=ttl_s)


@asynccontextmanager
async def running(registry: ConnectionRegistry, *leases: Lease) -> AsyncIterator[Replica]:
    """Run a registry, and wait until it is heard."""
    replica = Replica(registry, *leases)
    task = asyncio.create_task(registry.run(replica))
    try:
        yield replica
    finally:
        task.cancel()
        await asyncio.wait({task})


async def acquainted(*replicas: Replica) -> None:
    """Wait until each replica hears the others."""
    for number, replica in enumerate(replicas):
        others = [other for other in replicas if other is not replica]

        async def heard(
            replica: Replica = replica, others: list[Replica] = others, number: int = number
        ) -> bool:
            replica.registry.linked("probe", number)
            await asyncio.sleep(0.02)
            return all(("probe", number) in other.epochs for other in others)

        await eventually(heard)


async def test_lease_names_its_holder(new_registry: NewRegistry) -> None:
    async with running(new_registry("a")) as a:
        assert await a.registry.holder("CP 1") == ""
        assert await a.registry.hold([OLD]) == []
        assert await a.registry.holder("CP 1") == "a"
        await a.registry.release([OLD])
        assert await a.registry.holder("CP 1") == ""


async def test_newer_connection_takes_the_lease_over(new_registry: NewRegistry) -> None:
    async with running(new_registry("a")) as a, running(new_registry("b")) as b:
        await a.registry.hold([OLD])
        assert await b.registry.hold([NEW]) == []
        assert await a.registry.hold([OLD]) == [OLD]
        await a.registry.release([OLD])
        assert await a.registry.holder("CP 1") == "b"


async def test_of_two_links_with_one_connection_the_newer_has_the_lease(
    new_registry: NewRegistry,
) -> None:
    older, newer = Lease("CP 1", 1, 9), Lease("CP 1", 1, 10)
    async with running(new_registry("a")) as a, running(new_registry("b")) as b:
        await a.registry.hold([older])
        assert await b.registry.hold([newer]) == []
        assert await a.registry.hold([older]) == [older]
        assert await b.registry.holder("CP 1") == "b"


async def test_lease_that_nobody_prolongs_runs_out(new_registry: NewRegistry) -> None:
    async with running(new_registry("a", 0.2)) as a:
        await a.registry.hold([OLD])

        async def run_out() -> bool:
            return await a.registry.holder("CP 1") == ""

        await eventually(run_out)


async def test_leases_of_a_running_replica_are_prolonged(new_registry: NewRegistry) -> None:
    async with running(new_registry("a", 0.6), OLD) as a:
        for _ in range(8):
            await asyncio.sleep(0.1)  # longer, together, than a lease
        assert await a.registry.holder("CP 1") == "a"


async def test_replica_is_told_of_what_outdoes_it(new_registry: NewRegistry) -> None:
    async with running(new_registry("b")) as b:
        await b.registry.hold([NEW])
        async with running(new_registry("a", 0.3), OLD) as a:
            await until(lambda: a.outdone[:1] == [OLD])


async def test_holder_is_woken_and_nobody_else(new_registry: NewRegistry) -> None:
    async with AsyncExitStack() as stack:
        a, b, c = [await stack.enter_async_context(running(new_registry(name))) for name in "abc"]
        await acquainted(a, b, c)
        await b.registry.hold([OLD])
        a.registry.wake("CP 1")
        await until(lambda: b.woken == ["CP 1"])
        a.registry.command_changed("last")
        await until(lambda: c.changed == ["last"])
        assert (a.woken, c.woken) == ([], [])


async def test_all_are_woken_when_no_holder_is_known(new_registry: NewRegistry) -> None:
    async with running(new_registry("a")) as a, running(new_registry("b")) as b:
        await acquainted(a, b)
        a.registry.wake("CP 1")
        await until(lambda: b.woken == ["CP 1"])
        assert a.woken == []


async def test_news_reach_the_others(new_registry: NewRegistry) -> None:
    async with running(new_registry("a")) as a, running(new_registry("b")) as b:
        await acquainted(a, b)
        a.registry.command_changed("command-1")
        a.registry.linked("gateway one", 7)
        await until(lambda: b.changed == ["command-1"] and ("gateway one", 7) in b.epochs)
        assert a.changed == []


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    async with running_redis(tmp_path) as redis:
        yield redis


async def test_redis_that_comes_back_empty_is_filled_again(redis: Redis) -> None:
    a, b = (RedisRegistry(redis.url, name, ttl_s=30) for name in "ab")
    async with running(a, OLD) as one, running(b) as other:
        await acquainted(one, other)
        await redis.stop()
        await redis.start()

        async def known() -> bool:
            return await b.holder("CP 1") == "a"

        await eventually(known)
        await acquainted(one, other)


async def test_nothing_fails_while_redis_is_away(redis: Redis) -> None:
    registry = RedisRegistry(redis.url, "a")
    async with running(registry, OLD):
        await redis.stop()
        async with asyncio.timeout(10):
            assert await registry.hold([OLD]) == []
            assert await registry.holder("CP 1") == ""
            await registry.release([OLD])
            registry.wake("CP 1")
            registry.command_changed("command-1")
