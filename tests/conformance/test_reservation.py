"""The certification cases of the reservation profile."""

from typing import Any

from ocpp.v16 import call
from ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus

from tests.support.subject import ACCEPTED, REJECTED, Stage, Subject

EXPIRY = "2099-01-02T03:04:05Z"
RESERVATION_ID = 46


async def reserve(subject: Subject, *, connector_id: int = 1, **more: str) -> str:
    """Reserve a connector for the case's tag, check the frame and return the status."""
    request = {
        "connectorId": connector_id,
        "expiryDate": EXPIRY,
        "idTag": subject.id_tag,
        "reservationId": RESERVATION_ID,
        **more,
    }
    answer = await subject.answer_to(reserveNow=request)
    assert subject.asked[-1] == ("ReserveNow", request)
    return str(answer["status"]).removeprefix("RESERVATION_STATUS_")


async def cancel(subject: Subject) -> str:
    """Cancel the reservation, check the frame and return the status."""
    request = {"reservationId": RESERVATION_ID}
    answer = await subject.answer_to(cancelReservation=request)
    assert subject.asked[-1] == ("CancelReservation", request)
    return str(answer["status"]).removeprefix("CANCEL_RESERVATION_STATUS_")


async def use(subject: Subject, id_tag: str) -> None:
    """Start a transaction with the reservation; its session shows which one it used."""
    assert await subject.authorize(id_tag) == "Accepted"
    started = await subject.start(id_tag=id_tag, reservation_id=RESERVATION_ID)
    assert started.id_tag_info["status"] == "Accepted"
    session = (await subject.sessions())[0]
    assert session["reservationId"] == RESERVATION_ID
    await subject.status(ChargePointStatus.charging)


async def test_tc_046_reservation_used(stage: Stage) -> None:
    """The transaction that uses a reservation up is accepted and keeps its id."""
    async with stage.subject("TC_046", tagged=True, ReserveNow=ACCEPTED) as subject:
        assert await reserve(subject) == "ACCEPTED"
        await subject.status(ChargePointStatus.reserved)
        await use(subject, subject.id_tag)


async def test_tc_047_reservation_expired(stage: Stage) -> None:
    """After a reservation that nobody used the connector is shown as free again."""
    async with stage.subject("TC_047", tagged=True, ReserveNow=ACCEPTED) as subject:
        assert await reserve(subject) == "ACCEPTED"
        await subject.status(ChargePointStatus.reserved)
        await subject.status(ChargePointStatus.available)
        assert await subject.sessions() == []


async def refused(stage: Stage, identity: str, status: str, before: ChargePointStatus) -> None:
    """Reserve a connector whose status speaks against it; the charge point is asked anyway."""
    error = ChargePointErrorCode.no_error
    if before is ChargePointStatus.faulted:
        error = ChargePointErrorCode.ground_failure
    async with stage.subject(identity, tagged=True, ReserveNow={"status": status}) as subject:
        await subject.status(before, error=error)
        assert await reserve(subject) == status.upper()


async def test_tc_048_1_reservation_faulted(stage: Stage) -> None:
    """A fault does not keep the central system from asking; the refusal is told."""
    await refused(stage, "TC_048_1", "Faulted", ChargePointStatus.faulted)


async def test_tc_048_2_reservation_occupied(stage: Stage) -> None:
    """A cable in the connector does not keep the central system from asking."""
    await refused(stage, "TC_048_2", "Occupied", ChargePointStatus.preparing)


async def test_tc_048_3_reservation_unavailable(stage: Stage) -> None:
    """A connector out of use does not keep the central system from asking."""
    await refused(stage, "TC_048_3", "Unavailable", ChargePointStatus.unavailable)


async def test_tc_048_4_reservation_rejected(stage: Stage) -> None:
    """A charge point that takes no reservations says so to the operator."""
    await refused(stage, "TC_048_4", "Rejected", ChargePointStatus.available)


async def test_tc_049_reservation_of_the_charge_point(stage: Stage) -> None:
    """The connector 0, the whole charge point, is sent as 0 and not left out."""
    async with stage.subject("TC_049", tagged=True, ReserveNow=ACCEPTED) as subject:
        assert await reserve(subject, connector_id=0) == "ACCEPTED"
        assert subject.asked[0][1]["connectorId"] == 0
        await subject.status(ChargePointStatus.reserved)
        await use(subject, subject.id_tag)


async def test_tc_051_reservation_cancelled(stage: Stage) -> None:
    """A reservation is cancelled by the id with which it was made."""
    answers: dict[str, Any] = {"ReserveNow": ACCEPTED, "CancelReservation": ACCEPTED}
    async with stage.subject("TC_051", tagged=True, **answers) as subject:
        assert await reserve(subject) == "ACCEPTED"
        await subject.status(ChargePointStatus.reserved)
        assert await cancel(subject) == "ACCEPTED"
        await subject.status(ChargePointStatus.available)


async def test_tc_052_cancel_reservation_rejected(stage: Stage) -> None:
    """A reservation that nobody knows is cancelled at the charge point, which refuses."""
    async with stage.subject("TC_052", CancelReservation=REJECTED) as subject:
        assert await cancel(subject) == "REJECTED"


async def test_tc_053_reservation_used_by_parent_tag(stage: Stage) -> None:
    """A second tag of the same parent may use a reservation: both are told with their parent."""
    async with stage.subject("TC_053", ReserveNow=ACCEPTED) as subject:
        await subject.rest.add_id_tag("TC_053-PARENT")
        for id_tag in (subject.id_tag, "TC_053-OTHER"):
            await subject.rest.add_id_tag(id_tag, parent="idTags/TC_053-PARENT")
            told = await subject.point.call(call.Authorize(id_tag=id_tag))
            assert told.id_tag_info["parent_id_tag"] == "TC_053-PARENT"
        assert await reserve(subject, parentIdTag="TC_053-PARENT") == "ACCEPTED"
        await subject.status(ChargePointStatus.reserved)
        await use(subject, "TC_053-OTHER")
