"""The certification cases of the smart charging profile."""

from typing import Any

from ocpp.v16.enums import ChargePointStatus

from tests.support.subject import ACCEPTED, Stage, Subject

PERIODS = [{"startPeriod": 0, "limit": 16}, {"startPeriod": 900, "limit": 6.5, "numberPhases": 1}]
SCHEDULE = {
    "duration": 86400,
    "startSchedule": "2026-01-02T03:04:05Z",
    "chargingSchedulePeriod": PERIODS,
}
PROFILES = {
    "TX_DEFAULT_PROFILE": "TxDefaultProfile",
    "TX_PROFILE": "TxProfile",
    "CHARGE_POINT_MAX_PROFILE": "ChargePointMaxProfile",
}


def profiles(purpose: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a charging profile as the operator writes it and as it is on the wire."""
    common = {"chargingProfileId": 56, "stackLevel": 0}
    written = {
        **common,
        "chargingProfilePurpose": f"CHARGING_PROFILE_PURPOSE_TYPE_{purpose}",
        "chargingProfileKind": "CHARGING_PROFILE_KIND_TYPE_ABSOLUTE",
        "chargingSchedule": {**SCHEDULE, "chargingRateUnit": "CHARGING_RATE_UNIT_TYPE_A"},
    }
    wire = {
        **common,
        "chargingProfilePurpose": PROFILES[purpose],
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {**SCHEDULE, "chargingRateUnit": "A"},
    }
    return written, wire


async def set_profile(subject: Subject, purpose: str) -> None:
    """Send a profile for connector 1 and check its frame."""
    written, wire = profiles(purpose)
    request = {"connectorId": 1, "csChargingProfiles": written}
    answer = await subject.answer_to(setChargingProfile=request)
    assert answer == {"status": "CHARGING_PROFILE_STATUS_ACCEPTED"}
    sent = {"connectorId": 1, "csChargingProfiles": wire}
    assert subject.asked[-1] == ("SetChargingProfile", sent)


async def test_tc_056_tx_default_profile(stage: Stage) -> None:
    """A default profile is sent without a transaction id; stack level 0 is sent as 0."""
    async with stage.subject("TC_056", SetChargingProfile=ACCEPTED) as subject:
        await set_profile(subject, "TX_DEFAULT_PROFILE")


async def test_tc_057_tx_profile(stage: Stage) -> None:
    """A profile for a running transaction names it."""
    async with stage.subject("TC_057", tagged=True, SetChargingProfile=ACCEPTED) as subject:
        started = await subject.start()
        await subject.status(ChargePointStatus.charging)
        transaction_id = (await subject.sessions())[0]["ocppTransactionId"]
        written, wire = profiles("TX_PROFILE")
        written["transactionId"] = transaction_id
        request = {"connectorId": 1, "csChargingProfiles": written}
        answer = await subject.answer_to(setChargingProfile=request)
        assert answer == {"status": "CHARGING_PROFILE_STATUS_ACCEPTED"}
        sent = subject.asked[-1][1]["csChargingProfiles"]
        assert sent == {**wire, "transactionId": started.transaction_id}


async def test_tc_059_remote_start_with_profile(stage: Stage) -> None:
    """A remote start carries a TxProfile, which names no transaction: there is none yet."""
    async with stage.subject("TC_059", tagged=True, RemoteStartTransaction=ACCEPTED) as subject:
        written, wire = profiles("TX_PROFILE")
        request = {"connectorId": 1, "idTag": subject.id_tag, "chargingProfile": written}
        answer = await subject.answer_to(remoteStartTransaction=request)
        assert answer == {"status": "REMOTE_START_STOP_STATUS_ACCEPTED"}
        sent = {"connectorId": 1, "idTag": subject.id_tag, "chargingProfile": wire}
        assert subject.asked == [("RemoteStartTransaction", sent)]
        assert (await subject.start()).id_tag_info["status"] == "Accepted"


async def test_tc_066_composite_schedule(stage: Stage) -> None:
    """The schedule that the charge point makes of its profiles reaches the operator."""
    wire = {"chargingRateUnit": "A", "duration": 300, "chargingSchedulePeriod": PERIODS[:1]}
    answers: dict[str, Any] = {
        "SetChargingProfile": ACCEPTED,
        "GetCompositeSchedule": {
            "status": "Accepted",
            "connectorId": 1,
            "scheduleStart": "2026-01-02T03:04:05Z",
            "chargingSchedule": wire,
        },
    }
    async with stage.subject("TC_066", **answers) as subject:
        await set_profile(subject, "CHARGE_POINT_MAX_PROFILE")
        request = {"connectorId": 1, "duration": 300}
        answer = await subject.answer_to(getCompositeSchedule=request)
        assert subject.asked[-1] == ("GetCompositeSchedule", request)
        assert answer == {
            "status": "GET_COMPOSITE_SCHEDULE_STATUS_ACCEPTED",
            "connectorId": 1,
            "scheduleStart": "2026-01-02T03:04:05Z",
            "chargingSchedule": {**wire, "chargingRateUnit": "CHARGING_RATE_UNIT_TYPE_A"},
        }


async def test_tc_067_clear_charging_profile(stage: Stage) -> None:
    """A profile is removed by its id alone; the members that were not given are absent."""
    answers: dict[str, Any] = {"SetChargingProfile": ACCEPTED, "ClearChargingProfile": ACCEPTED}
    async with stage.subject("TC_067", **answers) as subject:
        await set_profile(subject, "TX_DEFAULT_PROFILE")
        answer = await subject.answer_to(clearChargingProfile={"id": 56})
        assert answer == {"status": "CLEAR_CHARGING_PROFILE_STATUS_ACCEPTED"}
        assert subject.asked[-1] == ("ClearChargingProfile", {"id": 56})
