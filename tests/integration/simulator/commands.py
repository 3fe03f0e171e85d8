"""A charge point that waits for commands, and what a central system asks of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from ocpp.v16 import call

from simulator.charge_point import ChargePoint
from simulator.session import Outlet
from simulator.settings import Model
from tests.integration.simulator.a_charge_point import SELDOM, charging
from tests.integration.simulator.central_system import CentralSystem
from tests.support.waiting import until

TWO = Model(
    vendor="Tidewell", name="Duo", firmware="1.0", outlets=(Outlet(max_power_w=22_000),) * 2
)


@asynccontextmanager
async def idle(central: CentralSystem, **options: Any) -> AsyncIterator[ChargePoint]:
    async with charging(central, pause_s=SELDOM, speed=1, **options) as charge_point:
        await until(charge_point.ready.is_set)
        yield charge_point


def last_status(central: CentralSystem, status: str, connector_id: int = 1) -> Callable[[], bool]:
    return lambda: central.statuses(connector_id)[-1:] == [status]


async def start(central: CentralSystem, id_tag: str = "FAR", **members: Any) -> str:
    members = {"connector_id": 1} | members
    answer = await central.call(call.RemoteStartTransaction(id_tag=id_tag, **members))
    return str(answer.status)
