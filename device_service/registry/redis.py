"""The connection registry in Redis, for several replicas.

A lease is one key with a time to live; a script compares and sets it. Replicas tell each other by
Pub/Sub: each listens on a channel of its own and on one for all. What is lost while Redis is away
is made good by asking the database, and a Redis that comes back empty is filled again.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from device_service.ports import Lease, RegistryListener
from servicekit.backoff import Backoff

log = structlog.get_logger()

_TIMEOUT_S = 1.0
_RETRIES = 1
_HEALTH_CHECK_S = 5
"""A line that is silent is pinged after so many seconds."""
_CHUNK = 500
"""Leases in one round trip."""
_MAX_NEWS = 10_000
"""Messages that may wait for Redis; the oldest are dropped, for the database has the truth."""
_PREFIX = "csms:device:"
_ALL = _PREFIX + "all"

# KEYS[1] the charge point; ARGV generation, epoch, replica, milliseconds. 0: a newer one holds it.
_HOLD = """
local held = redis.call('GET', KEYS[1])
if held then
  local generation, epoch = string.match(held, '^(%d+) (%d+) ')
  generation, epoch = tonumber(generation), tonumber(epoch)
  local mine, my_epoch = tonumber(ARGV[1]), tonumber(ARGV[2])
  if generation > mine or (generation == mine and epoch > my_epoch) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])
return 1
"""
# KEYS[1] the charge point; ARGV[1] the value that the caller set.
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""

Item = TypeVar("Item")


class RedisRegistry:
    """Implements the port `ConnectionRegistry` for any number of replicas.

    Args:
        url: redis://host:port/database, with a password where one is needed.
        replica_id: Identifies this replica.
        ttl_s: Seconds for which a lease holds; it is prolonged thrice in that time.
    """

    def __init__(self, url: str, replica_id: str, *, ttl_s: float = 30) -> None:
        self._redis = _client(url, _RETRIES)
        # A line that breaks has to be noticed here: what was said meanwhile is lost.
        self._listening = _client(url, 0)
        self._replica_id, self._ttl_s = replica_id, ttl_s
        self._hold = self._redis.register_script(_HOLD)
        self._release = self._redis.register_script(_RELEASE)
        self._wakes: deque[str] = deque(maxlen=_MAX_NEWS)
        self._news: deque[str] = deque(maxlen=_MAX_NEWS)
        self._said = asyncio.Event()

    async def hold(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Register or prolong leases; return those that newer ones outdo."""
        try:
            return await self._hold_all(leases)
        except RedisError as error:
            log.warning("registry_away", error=str(error))
            return []

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give up leases, where they are still those that count."""
        try:
            for chunk in _chunks(leases):
                async with self._redis.pipeline(transaction=False) as pipe:
                    for lease in chunk:
                        key, value = _key(lease.charge_point_id), self._value(lease)
                        await self._release(keys=[key], args=[value], client=pipe)
                    await pipe.execute()
        except RedisError as error:
            log.warning("registry_away", error=str(error))

    async def holder(self, charge_point_id: str) -> str:
        """Return the id of the replica that holds the charge point; empty: none is known."""
        try:
            return _replica(await self._redis.get(_key(charge_point_id)))
        except RedisError as error:
            log.warning("registry_away", error=str(error))
            return ""

    def wake(self, charge_point_id: str) -> None:
        """Tell the replica that holds a charge point, or all when none is known, of a command."""
        self._wakes.append(charge_point_id)
        self._said.set()

    def command_changed(self, command_id: str) -> None:
        """Tell the other replicas that a command changed."""
        self._say(f"changed {command_id}")

    def linked(self, gateway_id: str, epoch: int) -> None:
        """Tell the other replicas that a gateway has a new link here."""
        self._say(f"linked {epoch} {gateway_id}")

    async def run(self, listener: RegistryListener) -> None:
        """Pass on what other replicas say, and keep the leases alive, until cancelled."""
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._listen_forever(listener))
                loops.create_task(self._publish_forever())
                loops.create_task(self._prolong_forever(listener))
        finally:
            await self._redis.aclose()
            await self._listening.aclose()

    def _say(self, text: str) -> None:
        self._news.append(text)
        self._said.set()

    async def _listen_forever(self, listener: RegistryListener) -> None:
        backoff = Backoff(first=0.1, most=2)
        while True:
            try:
                await self._listen(listener, backoff)
            except RedisError as error:
                log.warning("registry_not_heard", error=str(error))
            await asyncio.sleep(backoff.next_delay())

    async def _listen(self, listener: RegistryListener, backoff: Backoff) -> None:
        async with self._listening.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(_ALL, _channel(self._replica_id))
            backoff.reset()
            await self._prolong(listener)  # a Redis that was started anew knows nothing
            while True:
                message = await pubsub.get_message(timeout=_TIMEOUT_S)
                if message is not None:
                    self._pass_on(str(message["data"]), listener)

    def _pass_on(self, text: str, listener: RegistryListener) -> None:
        """Tell the listener; what a later release says is not understood and left alone."""
        sender, _, rest = text.partition(" ")
        if sender == self._replica_id:
            return
        kind, _, value = rest.partition(" ")
        if kind == "wake":
            listener.wake(value)
        elif kind == "changed":
            listener.command_changed(value)
        elif kind == "linked":
            epoch, _, gateway_id = value.partition(" ")
            listener.linked(gateway_id, int(epoch))

    async def _publish_forever(self) -> None:
        while True:
            await self._said.wait()
            self._said.clear()
            try:
                await self._publish(_taken(self._wakes), _taken(self._news))
            except RedisError as error:
                log.warning("registry_not_told", error=str(error))

    async def _publish(self, wakes: Sequence[str], news: Sequence[str]) -> None:
        messages = [(_ALL, text) for text in news]
        for chunk in _chunks(wakes):
            holders = await self._redis.mget([_key(key) for key in chunk])
            for key, held in zip(chunk, holders, strict=True):
                replica = _replica(held)
                messages.append((_channel(replica) if replica else _ALL, f"wake {key}"))
        for part in _chunks(messages):
            async with self._redis.pipeline(transaction=False) as pipe:
                for channel, text in part:
                    pipe.publish(channel, f"{self._replica_id} {text}")
                await pipe.execute()

    async def _prolong_forever(self, listener: RegistryListener) -> None:
        while True:
            await asyncio.sleep(self._ttl_s / 3)
            try:
                await self._prolong(listener)
            except RedisError as error:
                log.warning("registry_away", error=str(error))

    async def _prolong(self, listener: RegistryListener) -> None:
        for outdone in await self._hold_all(listener.leases()):
            listener.superseded(outdone)

    async def _hold_all(self, leases: Sequence[Lease]) -> list[Lease]:
        outdone: list[Lease] = []
        for chunk in _chunks(leases):
            async with self._redis.pipeline(transaction=False) as pipe:
                for lease in chunk:
                    key, ttl_ms = _key(lease.charge_point_id), int(self._ttl_s * 1000)
                    args: list[str | int] = [
                        lease.generation,
                        lease.epoch,
                        self._replica_id,
                        ttl_ms,
                    ]
                    await self._hold(keys=[key], args=args, client=pipe)
                held: list[Any] = await pipe.execute()
            outdone += [lease for lease, done in zip(chunk, held, strict=True) if not done]
        return outdone

    def _value(self, lease: Lease) -> str:
        return f"{lease.generation} {lease.epoch} {self._replica_id}"


def _client(url: str, retries: int) -> Redis:
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        health_check_interval=_HEALTH_CHECK_S,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), retries),
    )


def _key(charge_point_id: str) -> str:
    return f"{_PREFIX}lease:{charge_point_id}"


def _channel(replica_id: str) -> str:
    return f"{_PREFIX}replica:{replica_id}"


def _replica(held: Any) -> str:
    return str(held).split(" ", 2)[2] if held else ""


def _chunks(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]


def _taken(queue: deque[str]) -> list[str]:
    taken = list(queue)
    queue.clear()
    return taken
