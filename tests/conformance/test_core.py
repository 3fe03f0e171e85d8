"""The certification cases of the core profile in which the charge point begins."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ocpp.v16 import call
from ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus, Reason

from tests.support.charge_points import boot
from tests.support.subject import Stage, Subject

AN_HOUR = timedelta(hours=1)


async def charge(subject: Subject) -> Any:
    """Start an accepted transaction of the case's tag and return the answer."""
    started = await subject.start()
    assert started.id_tag_info["status"] == "Accepted"
    await subject.status(ChargePointStatus.charging)
    assert (await subject.sessions())[0]["state"] == "STATE_ACTIVE"
    return started


async def finish(subject: Subject) -> None:
    """Unplug: the connector is free again."""
    await subject.status(ChargePointStatus.finishing)
    await subject.status(ChargePointStatus.available)


async def test_tc_001_cold_boot(stage: Stage) -> None:
    """A boot gets the time and an interval, each status its answer, and nothing is sent unasked."""
    async with stage.subject("TC_001") as subject:
        booted = await boot(subject.point.station)
        told = datetime.fromisoformat(booted.current_time)
        assert abs(told - datetime.now(UTC)) < timedelta(seconds=30)
        assert booted.interval >= 60
        for connector_id in (0, 1, 2):
            await subject.status(ChargePointStatus.available, connector_id)
        assert (await subject.point.call(call.Heartbeat())).current_time
        assert subject.asked == []


async def test_tc_003_regular_session_plug_in_first(stage: Stage) -> None:
    """A session from cable to cable is accepted and stored with the tag that stopped it."""
    async with stage.subject("TC_003", tagged=True) as subject:
        await subject.status(ChargePointStatus.preparing)
        assert await subject.authorize() == "Accepted"
        started = await charge(subject)
        assert await subject.authorize() == "Accepted"
        session = await subject.stop(started, Reason.local, id_tag=subject.id_tag)
        assert session["stopIdTag"] == session["idTag"] == f"idTags/{subject.id_tag}"
        await finish(subject)


async def test_tc_004_1_regular_session_identification_first(stage: Stage) -> None:
    """A tag that is shown before the cable is plugged in leads to a session all the same."""
    async with stage.subject("TC_004_1", tagged=True) as subject:
        assert await subject.authorize() == "Accepted"
        assert await subject.sessions() == []
        await subject.status(ChargePointStatus.preparing)
        await charge(subject)


async def test_tc_004_2_identification_first_connection_time_out(stage: Stage) -> None:
    """An authorization that nobody used leaves no session."""
    async with stage.subject("TC_004_2", tagged=True) as subject:
        assert await subject.authorize() == "Accepted"
        await subject.status(ChargePointStatus.preparing)
        await subject.status(ChargePointStatus.available)
        assert await subject.sessions() == []


async def test_tc_005_1_ev_side_disconnected(stage: Stage) -> None:
    """A session that ends with the cable keeps that reason."""
    async with stage.subject("TC_005_1", tagged=True) as subject:
        started = await charge(subject)
        await subject.status(ChargePointStatus.suspended_ev)
        session = await subject.stop(started, Reason.ev_disconnected)
        assert session.get("stopIdTag") is None
        await finish(subject)


async def test_tc_007_start_with_cached_id(stage: Stage) -> None:
    """A start without an Authorize before it is judged as the tag stands now."""
    async with stage.subject("TC_007", tagged=True) as subject:
        await subject.status(ChargePointStatus.preparing)
        await charge(subject)


async def test_tc_023_1_authorize_invalid(stage: Stage) -> None:
    """A tag that nobody knows is Invalid."""
    async with stage.subject("TC_023_1") as subject:
        assert await subject.authorize() == "Invalid"
        assert await subject.sessions() == []


async def test_tc_023_2_authorize_expired(stage: Stage) -> None:
    """A tag past its time is Expired, even if it was that when it was created."""
    async with stage.subject("TC_023_2") as subject:
        await subject.rest.add_id_tag(subject.id_tag, expireTime="2020-01-01T00:00:00Z")
        assert await subject.authorize() == "Expired"
        assert await subject.sessions() == []


async def test_tc_023_3_authorize_blocked(stage: Stage) -> None:
    """A blocked tag is Blocked."""
    async with stage.subject("TC_023_3") as subject:
        await subject.rest.add_id_tag(subject.id_tag, blocked=True)
        assert await subject.authorize() == "Blocked"
        assert await subject.sessions() == []


async def test_tc_024_lock_failure(stage: Stage) -> None:
    """A lock that does not close is stored with its error; no session begins."""
    async with stage.subject("TC_024", tagged=True) as subject:
        assert await subject.authorize() == "Accepted"
        await subject.status(ChargePointStatus.preparing)
        error = ChargePointErrorCode.connector_lock_failure
        await subject.status(ChargePointStatus.faulted, error=error)
        assert await subject.sessions() == []


async def test_tc_032_1_power_failure_boot_stops_transactions(stage: Stage) -> None:
    """After a power failure the boot ends no session; the stop that follows does."""
    async with stage.subject("TC_032_1", tagged=True) as subject:
        started = await charge(subject)
        subject.point.hang_up()
    async with stage.subject("TC_032_1") as subject:
        assert (await subject.sessions())[0]["state"] == "STATE_ACTIVE"
        await subject.stop(started, Reason.power_loss)
        assert len(await subject.sessions()) == 1


async def test_tc_037_1_offline_start_valid_tag(stage: Stage) -> None:
    """A start that is told later is accepted and keeps the charge point's time."""
    async with stage.subject("TC_037_1", tagged=True) as subject:
        started = await subject.start(ago=AN_HOUR)
        assert started.id_tag_info["status"] == "Accepted"
        await subject.status(ChargePointStatus.charging)
        assert_about((await subject.sessions())[0]["startTime"], AN_HOUR)


async def test_tc_037_3_offline_start_invalid_tag(stage: Stage) -> None:
    """A start that is told later with an unknown tag is stored as Invalid, and can be stopped."""
    async with stage.subject("TC_037_3") as subject:
        started = await subject.start(ago=AN_HOUR)
        assert started.id_tag_info["status"] == "Invalid"
        session = await subject.stop(started, Reason.de_authorized)
        assert session["authorizationStatus"] == "Invalid"


async def test_tc_039_offline_transaction(stage: Stage) -> None:
    """A transaction that is over when it is told is stored with the times of the charge point."""
    async with stage.subject("TC_039", tagged=True) as subject:
        started = await subject.start(ago=2 * AN_HOUR)
        assert started.id_tag_info["status"] == "Accepted"
        session = await subject.stop(started, Reason.local, ago=AN_HOUR, id_tag=subject.id_tag)
        assert_about(session["startTime"], 2 * AN_HOUR)
        assert_about(session["stopTime"], AN_HOUR)


def assert_about(time: str, ago: timedelta) -> None:
    """Check that a time is so long ago, but for the length of a test."""
    passed = datetime.now(UTC) - datetime.fromisoformat(time)
    assert abs(passed - ago) < timedelta(minutes=2)


@pytest.mark.parametrize("data", ["x", None])
async def test_tc_064_data_transfer_to_the_central_system(stage: Stage, data: str | None) -> None:
    """Data of a vendor that nobody knows is kept, and answered so."""
    async with stage.subject(f"TC_064_{data}") as subject:
        request = call.DataTransfer(vendor_id="com.acme", message_id="m", data=data)
        assert (await subject.point.call(request)).status == "UnknownVendorId"
        assert len(await subject.notices("DataTransfer")) == 1
