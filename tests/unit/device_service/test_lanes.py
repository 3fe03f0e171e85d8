"""Work of one key is done in order, and others do not wait for it."""

import asyncio
from collections.abc import Awaitable, Callable

from device_service.lanes import Lanes
from tests.support.waiting import until


async def test_one_key_keeps_its_order_and_others_overtake_it() -> None:
    lanes, done, gate = Lanes(10), [], asyncio.Event()

    def work(name: str, *, waits: bool = False) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            if waits:
                await gate.wait()
            done.append(name)

        return run

    await lanes.put("a", work("a1", waits=True))
    await lanes.put("a", work("a2"))
    await lanes.put("b", work("b1"))
    await until(lambda: done == ["b1"])
    gate.set()
    await lanes.done()
    assert done == ["b1", "a1", "a2"]


async def test_who_brings_too_much_waits() -> None:
    lanes, gate = Lanes(1), asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    await lanes.put("a", wait)
    second = asyncio.create_task(lanes.put("b", wait))
    await asyncio.wait({second}, timeout=0.05)
    assert not second.done()
    gate.set()
    await second
    await lanes.done()
