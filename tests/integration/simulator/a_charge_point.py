"""A charge point that runs for the length of a block."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from servicekit.clock import SystemClock
from simulator.charge_point import ChargePoint
from simulator.connector import Pace
from simulator.session import Outlet
from simulator.settings import Model, Settings
from tests.integration.simulator.central_system import CentralSystem

MODEL = Model(
    vendor="Hasselkraft", name="Kerb 11", firmware="1.0", outlets=(Outlet(max_power_w=11_000),)
)
SELDOM, OFTEN = (3600.0, 3600.0), (0.0, 0.0)


@asynccontextmanager
async def charging(
    central: CentralSystem,
    *,
    pause_s: tuple[float, float] = OFTEN,
    speed: float = 2000,
    call_timeout_s: float = 5,
    model: Model = MODEL,
    step_s: float = 0.01,
) -> AsyncIterator[ChargePoint]:
    settings = Settings(
        url=central.url,
        pace=Pace(speed=speed, pause_s=pause_s),
        clock=SystemClock(),
        meter_interval_s=1,
        call_timeout_s=call_timeout_s,
        retry_interval_s=0,
        step_s=step_s,
    )
    charge_point = ChargePoint(
        "CP-1",
        model,
        id_tags=["TAG-1", "TAG-2"][: len(model.outlets)],
        settings=settings,
        chance=random.Random(1),
    )
    running = asyncio.create_task(charge_point.run())
    try:
        yield charge_point
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.wait({running})
