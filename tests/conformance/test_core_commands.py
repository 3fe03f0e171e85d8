"""The certification cases of the core profile in which the central system begins."""

import asyncio
from typing import Any

from ocpp.v16.enums import ChargePointStatus, Reason

from tests.support.charge_points import boot
from tests.support.subject import ACCEPTED, REJECTED, Stage, Subject
from tests.support.waiting import eventually, until

REMOTE_ACCEPTED = {"status": "REMOTE_START_STOP_STATUS_ACCEPTED"}
REMOTE_REJECTED = {"status": "REMOTE_START_STOP_STATUS_REJECTED"}
UNKNOWN_TRANSACTION = 2147483647


async def remote_start(subject: Subject, **connector: int) -> Any:
    """Ask for a transaction, check the frame, and return the command; nothing has begun yet."""
    request = {**connector, "idTag": subject.id_tag}
    command = await subject.command(remoteStartTransaction=request)
    assert command["response"] == {"remoteStartTransaction": REMOTE_ACCEPTED}
    assert subject.asked[-1] == ("RemoteStartTransaction", request)
    assert command["sessionOutcome"] == "SESSION_OUTCOME_AWAITED"
    assert await subject.sessions() == []
    return command


async def session_of(subject: Subject, command: Any) -> str:
    """Return the session that came of a remote start."""

    async def has_come() -> bool:
        now = await subject.rest.get(f"/v1/{command['name']}")
        command.update(now)
        return bool(now["sessionOutcome"] == "SESSION_OUTCOME_STARTED")

    await eventually(has_come)
    return str(command["session"])


async def unlock(subject: Subject, connector_id: int = 1) -> str:
    """Ask to release a connector, check the frame and return the status."""
    request = {"connectorId": connector_id}
    answer = await subject.answer_to(unlockConnector=request)
    assert subject.asked == [("UnlockConnector", request)]
    return str(answer["status"]).removeprefix("UNLOCK_STATUS_")


async def change_configuration(subject: Subject, key: str, value: str) -> str:
    """Set a key, check that its value is sent as text, and return the status."""
    request = {"key": key, "value": value}
    answer = await subject.answer_to(changeConfiguration=request)
    assert subject.asked == [("ChangeConfiguration", request)]
    return str(answer["status"]).removeprefix("CONFIGURATION_STATUS_")


async def test_tc_061_clear_authorization_cache(stage: Stage) -> None:
    """The cache is cleared by a call without members."""
    async with stage.subject("TC_061", ClearCache=ACCEPTED) as subject:
        answer = await subject.answer_to(clearCache={})
        assert answer == {"status": "CLEAR_CACHE_STATUS_ACCEPTED"}
        assert subject.asked == [("ClearCache", {})]


async def test_tc_010_remote_start_cable_first(stage: Stage) -> None:
    """A remote start for a connector leads to a session, which the command then names."""
    async with stage.subject("TC_010", tagged=True, RemoteStartTransaction=ACCEPTED) as subject:
        await subject.status(ChargePointStatus.preparing)
        command = await remote_start(subject, connectorId=1)
        assert await subject.authorize() == "Accepted"
        assert (await subject.start()).id_tag_info["status"] == "Accepted"
        await subject.status(ChargePointStatus.charging)
        assert await session_of(subject, command) == (await subject.sessions())[0]["name"]


async def test_tc_011_1_remote_start_first(stage: Stage) -> None:
    """A remote start that names no connector leaves the member out; the session may come later."""
    async with stage.subject("TC_011_1", tagged=True, RemoteStartTransaction=ACCEPTED) as subject:
        command = await remote_start(subject)
        await subject.status(ChargePointStatus.preparing)
        assert (await subject.start()).id_tag_info["status"] == "Accepted"
        assert await session_of(subject, command) == (await subject.sessions())[0]["name"]


async def test_tc_011_2_remote_start_time_out(stage: Stage) -> None:
    """A remote start after which nobody plugs in leaves no session."""
    async with stage.subject("TC_011_2", tagged=True, RemoteStartTransaction=ACCEPTED) as subject:
        command = await remote_start(subject, connectorId=1)
        await subject.status(ChargePointStatus.preparing)
        await subject.status(ChargePointStatus.available)
        assert await subject.sessions() == []
        now = await subject.rest.get(f"/v1/{command['name']}")
        assert (now["session"], now["sessionOutcome"]) == ("", "SESSION_OUTCOME_AWAITED")


async def test_tc_012_remote_stop(stage: Stage) -> None:
    """A remote stop names the transaction; the stop that follows is stored as Remote."""
    async with stage.subject("TC_012", tagged=True, RemoteStopTransaction=ACCEPTED) as subject:
        started = await subject.start()
        request = {"transactionId": (await subject.sessions())[0]["ocppTransactionId"]}
        assert await subject.answer_to(remoteStopTransaction=request) == REMOTE_ACCEPTED
        wire = {"transactionId": started.transaction_id}
        assert subject.asked == [("RemoteStopTransaction", wire)]
        await subject.stop(started, Reason.remote)


async def test_tc_013_hard_reset(stage: Stage) -> None:
    """A hard reset that is answered is followed by a stop, a lost line and an accepted boot."""
    async with stage.subject("TC_013", tagged=True, Reset=ACCEPTED) as subject:
        started = await subject.start()
        answer = await subject.answer_to(reset={"type": "RESET_TYPE_HARD"})
        assert answer == {"status": "RESET_STATUS_ACCEPTED"}
        assert subject.asked == [("Reset", {"type": "Hard"})]
        await subject.stop(started, Reason.hard_reset)
        subject.point.hang_up()
    async with stage.subject("TC_013") as subject:
        await subject.status(ChargePointStatus.available)


async def test_tc_013_hard_reset_without_an_answer(stage: Stage) -> None:
    """A line that drops instead of an answer fails the command; the stop before it is stored."""
    async with stage.subject("TC_013_SILENT", tagged=True, Reset=None) as subject:
        started = await subject.start()
        resetting = asyncio.create_task(subject.command(reset={"type": "RESET_TYPE_HARD"}))
        await until(lambda: bool(subject.asked))
        await subject.stop(started, Reason.hard_reset)
        subject.point.hang_up()
        command = await resetting
        assert command["state"] == "STATE_FAILED"
        assert command["error"]["details"][0]["reason"] == "CONNECTION_LOST"


async def test_tc_014_soft_reset(stage: Stage) -> None:
    """A soft reset is followed by a stop and a boot on the same socket, both accepted."""
    async with stage.subject("TC_014", tagged=True, Reset=ACCEPTED) as subject:
        started = await subject.start()
        answer = await subject.answer_to(reset={"type": "RESET_TYPE_SOFT"})
        assert answer == {"status": "RESET_STATUS_ACCEPTED"}
        assert subject.asked == [("Reset", {"type": "Soft"})]
        await subject.stop(started, Reason.soft_reset)
        assert (await boot(subject.point.station)).status == "Accepted"
        await subject.status(ChargePointStatus.available)


async def test_tc_017_1_unlock_detachable_cable(stage: Stage) -> None:
    """A connector without a session is released."""
    async with stage.subject("TC_017_1", UnlockConnector={"status": "Unlocked"}) as subject:
        await subject.status(ChargePointStatus.available)
        assert await unlock(subject) == "UNLOCKED"


async def test_tc_017_2_unlock_fixed_cable(stage: Stage) -> None:
    """A charge point that has nothing to unlock says so to the operator."""
    async with stage.subject("TC_017_2", UnlockConnector={"status": "NotSupported"}) as subject:
        assert await unlock(subject) == "NOT_SUPPORTED"


async def test_tc_018_1_unlock_with_session(stage: Stage) -> None:
    """A connector with a session is released too; the stop keeps its reason."""
    answers: dict[str, Any] = {"UnlockConnector": {"status": "Unlocked"}}
    async with stage.subject("TC_018_1", tagged=True, **answers) as subject:
        started = await subject.start()
        await subject.status(ChargePointStatus.charging)
        assert await unlock(subject) == "UNLOCKED"
        await subject.stop(started, Reason.unlock_command)
        await subject.status(ChargePointStatus.finishing)
        await subject.status(ChargePointStatus.available)


KEYS = [
    {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
    {"key": "AuthorizationKey", "readonly": False},
]


async def test_tc_019_1_get_all_configuration_keys(stage: Stage) -> None:
    """All keys are asked for in one call without members; a key may have no value."""
    async with stage.subject("TC_019_1", GetConfiguration={"configurationKey": KEYS}) as subject:
        answer = await subject.answer_to(getConfiguration={})
        assert subject.asked == [("GetConfiguration", {})]
        assert answer["configurationKey"] == KEYS


async def test_tc_019_2_get_one_configuration_key(stage: Stage) -> None:
    """One key is asked for by a list of one."""
    answers: dict[str, Any] = {"GetConfiguration": {"configurationKey": KEYS[:1], "unknownKey": []}}
    async with stage.subject("TC_019_2", **answers) as subject:
        request = {"key": ["HeartbeatInterval"]}
        answer = await subject.answer_to(getConfiguration=request)
        assert subject.asked == [("GetConfiguration", request)]
        assert answer["configurationKey"] == KEYS[:1]


async def test_tc_021_change_configuration(stage: Stage) -> None:
    """A number is set as the text that the operator gave."""
    async with stage.subject("TC_021", ChangeConfiguration=ACCEPTED) as subject:
        assert await change_configuration(subject, "MeterValueSampleInterval", "60") == "ACCEPTED"


async def test_tc_040_1_configuration_not_supported(stage: Stage) -> None:
    """A key that nobody knows is passed on; the charge point refuses it."""
    answers: dict[str, Any] = {"ChangeConfiguration": {"status": "NotSupported"}}
    async with stage.subject("TC_040_1", **answers) as subject:
        assert await change_configuration(subject, "NoSuchKey", "x") == "NOT_SUPPORTED"


async def test_tc_040_2_configuration_invalid_value(stage: Stage) -> None:
    """A value that makes no sense is passed on; the charge point refuses it."""
    async with stage.subject("TC_040_2", ChangeConfiguration=REJECTED) as subject:
        status = await change_configuration(subject, "MeterValueSampleInterval", "-1")
        assert status == "REJECTED"


async def test_tc_026_remote_start_rejected(stage: Stage) -> None:
    """A refusal is a completed command of which no session is awaited."""
    async with stage.subject("TC_026", tagged=True, RemoteStartTransaction=REJECTED) as subject:
        request = {"connectorId": 1, "idTag": subject.id_tag}
        command = await subject.command(remoteStartTransaction=request)
        assert command["state"] == "STATE_COMPLETED"
        assert command["response"] == {"remoteStartTransaction": REMOTE_REJECTED}
        assert command["sessionOutcome"] == "SESSION_OUTCOME_UNSPECIFIED"
        assert await subject.sessions() == []


async def test_tc_028_remote_stop_rejected(stage: Stage) -> None:
    """A stop of a transaction that nobody knows is passed on; the charge point refuses it."""
    async with stage.subject("TC_028", RemoteStopTransaction=REJECTED) as subject:
        request = {"transactionId": str(UNKNOWN_TRANSACTION)}
        assert await subject.answer_to(remoteStopTransaction=request) == REMOTE_REJECTED
        wire = {"transactionId": UNKNOWN_TRANSACTION}
        assert subject.asked == [("RemoteStopTransaction", wire)]


async def test_tc_030_unlock_failure(stage: Stage) -> None:
    """A lock that does not open is told to the operator."""
    async with stage.subject("TC_030", UnlockConnector={"status": "UnlockFailed"}) as subject:
        assert await unlock(subject) == "UNLOCK_FAILED"


async def test_tc_031_unlock_unknown_connector(stage: Stage) -> None:
    """A connector that nobody has heard of is passed on; the charge point refuses it."""
    async with stage.subject("TC_031", UnlockConnector={"status": "NotSupported"}) as subject:
        assert await unlock(subject, connector_id=9) == "NOT_SUPPORTED"
