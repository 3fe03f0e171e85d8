"""Many charge points in one process."""

import asyncio
import random
from collections.abc import Sequence

from simulator.charge_point import ChargePoint
from simulator.session import Outlet
from simulator.settings import Model, Settings

_AC_11 = Outlet(max_power_w=11_000)
_AC_22 = Outlet(max_power_w=22_000)
_DC_60 = Outlet(max_power_w=60_000, dc=True)

MODELS = (
    Model(vendor="Hasselkraft", name="Kerb 11", firmware="2.4.1", outlets=(_AC_11,)),
    Model(vendor="Tidewell", name="Duo 22", firmware="1.18.0-b7", outlets=(_AC_22, _AC_22)),
    Model(vendor="Orrery Power", name="Rapid 60 DC", firmware="5.0.3", outlets=(_DC_60,)),
)
"""The models that a fleet consists of, in turn. Vendors and models are invented."""


def id_tags(prefix: str, count: int) -> list[str]:
    """Return the tags of a fleet's drivers, `DEMO-TAG-1` and so on: two for each charge point."""
    return [f"{prefix}-TAG-{number}" for number in range(1, 2 * count + 1)]


def make_fleet(prefix: str, count: int, settings: Settings) -> list[ChargePoint]:
    """Return charge points named `DEMO-1` and so on."""
    tags = id_tags(prefix, count)
    return [
        ChargePoint(
            f"{prefix}-{index + 1}",
            MODELS[index % len(MODELS)],
            id_tags=tags[2 * index : 2 * index + 2],
            settings=settings,
            chance=random.Random(),
        )
        for index in range(count)
    ]


async def run_fleet(fleet: Sequence[ChargePoint]) -> None:
    """Run charge points until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for charge_point in fleet:
            tasks.create_task(charge_point.run())


async def power_down(fleet: Sequence[ChargePoint], patience_s: float) -> None:
    """Stop the transactions that run, and give the central system a while to take note.

    Args:
        fleet: Charge points that run.
        patience_s: How long to wait at most; what is not answered by then is forgotten.
    """
    tasks = [asyncio.create_task(charge_point.power_down()) for charge_point in fleet]
    _, late = await asyncio.wait(tasks, timeout=patience_s)
    for task in late:
        task.cancel()
