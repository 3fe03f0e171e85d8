from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ocpp.exceptions import PropertyConstraintViolationError
from ocpp.v16 import call, call_result

from tests.integration.simulator.a_charge_point import charging
from tests.integration.simulator.central_system import CentralSystem
from tests.integration.simulator.commands import TWO, idle, last_status, start
from tests.support.waiting import until

NEVER = datetime(2098, 1, 1, tzinfo=UTC).isoformat()


async def reserve(central: CentralSystem, connector_id: int = 1, **members: Any) -> str:
    members = {"id_tag": "VIP", "expiry_date": NEVER, "reservation_id": 5} | members
    answer = await central.call(call.ReserveNow(connector_id=connector_id, **members))
    return str(answer.status)


async def test_a_reserved_connector_waits_for_its_driver(central: CentralSystem) -> None:
    async with idle(central):
        assert await reserve(central) == "Accepted"
        await until(last_status(central, "Reserved"))
        assert await reserve(central, reservation_id=6) == "Occupied"
        assert await start(central, "OTHER") == "Rejected"
        assert await start(central, "VIP") == "Accepted"
        await until(last_status(central, "Charging"))
        assert await reserve(central, reservation_id=7) == "Occupied"
        cancelled = await central.call(call.CancelReservation(reservation_id=5))
        assert cancelled.status == "Rejected"  # it is used up
    assert central.payloads("StartTransaction")[0]["reservation_id"] == 5


async def test_a_member_of_the_group_uses_a_reservation(central: CentralSystem) -> None:
    central.answers["Authorize"] = lambda **_: call_result.Authorize(
        {"status": "Accepted", "parent_id_tag": "GROUP"}
    )
    async with charging(central, pause_s=(0.5, 0.5), speed=1) as charge_point:
        await until(charge_point.ready.is_set)
        assert await reserve(central, parent_id_tag="GROUP") == "Accepted"
        await until(lambda: central.payloads("StartTransaction"))
    [start, *_] = central.payloads("StartTransaction")
    assert (start["id_tag"], start["reservation_id"]) == ("TAG-1", 5)


async def test_a_reservation_ends_by_itself_or_is_cancelled(central: CentralSystem) -> None:
    async with idle(central):
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        assert await reserve(central, expiry_date=soon) == "Accepted"
        await until(last_status(central, "Reserved"))
        await until(last_status(central, "Available"))
        assert await reserve(central) == "Accepted"
        await until(last_status(central, "Reserved"))
        answer = await central.call(call.CancelReservation(reservation_id=5))
        assert answer.status == "Accepted"
        await until(last_status(central, "Available"))


async def test_a_reservation_that_cannot_be_is_answered(central: CentralSystem) -> None:
    async with idle(central):
        assert await reserve(central, 9) == "Rejected"
        assert await reserve(central, expiry_date="2001-01-01T00:00:00Z") == "Rejected"
        with pytest.raises(PropertyConstraintViolationError):
            await reserve(central, expiry_date="tomorrow")
        await central.call(call.ChangeAvailability(connector_id=1, type="Inoperative"))
        assert await reserve(central) == "Unavailable"


async def test_a_reservation_of_the_charge_point_keeps_one_connector(
    central: CentralSystem,
) -> None:
    async with idle(central, model=TWO):
        assert await reserve(central, 0) == "Accepted"
        assert await start(central, "OTHER", connector_id=1) == "Accepted"
        await until(last_status(central, "Charging"))
        assert await start(central, "OTHER", connector_id=2) == "Rejected"
        assert await start(central, "VIP", connector_id=2) == "Accepted"
        await until(last_status(central, "Charging", 2))
    assert [s.get("reservation_id") for s in central.payloads("StartTransaction")] == [None, 5]
