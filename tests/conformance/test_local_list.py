"""The certification cases of the local authorization list profile."""

from typing import Any

from tests.support.subject import Stage, Subject

ENTRY = {"idTag": "LIST-1", "idTagInfo": {"status": "AUTHORIZATION_STATUS_ACCEPTED"}}
WIRE_ENTRY = {"idTag": "LIST-1", "idTagInfo": {"status": "Accepted"}}


async def version_of(subject: Subject) -> int:
    answer = await subject.answer_to(getLocalListVersion={})
    assert subject.asked[-1] == ("GetLocalListVersion", {})
    return int(answer["listVersion"])


async def sent(subject: Subject, update_type: str, entries: list[dict[str, Any]]) -> str:
    """Send a list, check its frame but for the entries, and return the status."""
    request = {
        "listVersion": 2,
        "updateType": f"UPDATE_TYPE_{update_type.upper()}",
        "localAuthorizationList": entries,
    }
    answer = await subject.answer_to(sendLocalList=request)
    action, payload = subject.asked[-1]
    assert action == "SendLocalList"
    assert (payload["listVersion"], payload["updateType"]) == (2, update_type)
    return str(answer["status"])


async def test_tc_042_1_get_local_list_version_not_supported(stage: Stage) -> None:
    """The version -1 of a charge point without lists reaches the operator."""
    async with stage.subject("TC_042_1", GetLocalListVersion={"listVersion": -1}) as subject:
        assert await version_of(subject) == -1


async def test_tc_042_2_get_local_list_version_empty(stage: Stage) -> None:
    """The version 0 of an empty list is an answer, not an absent one."""
    answers: dict[str, Any] = {
        "GetLocalListVersion": {"listVersion": 0},
        "SendLocalList": {"status": "Accepted"},
    }
    async with stage.subject("TC_042_2", **answers) as subject:
        assert await sent(subject, "Full", []) == "UPDATE_STATUS_ACCEPTED"
        assert "localAuthorizationList" not in subject.asked[-1][1]
        assert await version_of(subject) == 0


async def test_tc_043_1_send_local_list_not_supported(stage: Stage) -> None:
    """A list is passed on to a charge point that then says it has none."""
    answers: dict[str, Any] = {"SendLocalList": {"status": "NotSupported"}}
    async with stage.subject("TC_043_1", **answers) as subject:
        assert await sent(subject, "Full", [ENTRY]) == "UPDATE_STATUS_NOT_SUPPORTED"


async def test_tc_043_3_send_local_list_failed(stage: Stage) -> None:
    """A list that could not be stored is told apart from one that is not supported."""
    answers: dict[str, Any] = {"SendLocalList": {"status": "Failed"}}
    async with stage.subject("TC_043_3", **answers) as subject:
        assert await sent(subject, "Full", [ENTRY]) == "UPDATE_STATUS_FAILED"


async def test_tc_043_4_send_local_list_full(stage: Stage) -> None:
    """A full list names every tag with its standing."""
    answers: dict[str, Any] = {
        "GetLocalListVersion": {"listVersion": 1},
        "SendLocalList": {"status": "Accepted"},
    }
    async with stage.subject("TC_043_4", **answers) as subject:
        assert await version_of(subject) == 1
        assert await sent(subject, "Full", [ENTRY]) == "UPDATE_STATUS_ACCEPTED"
        assert subject.asked[-1][1]["localAuthorizationList"] == [WIRE_ENTRY]


async def test_tc_043_5_send_local_list_differential(stage: Stage) -> None:
    """A differential list can add a tag and, by an entry without standing, remove one."""
    answers: dict[str, Any] = {
        "GetLocalListVersion": {"listVersion": 1},
        "SendLocalList": {"status": "Accepted"},
    }
    async with stage.subject("TC_043_5", **answers) as subject:
        assert await version_of(subject) == 1
        entries: list[dict[str, Any]] = [ENTRY, {"idTag": "LIST-2"}]
        assert await sent(subject, "Differential", entries) == "UPDATE_STATUS_ACCEPTED"
        wanted = [WIRE_ENTRY, {"idTag": "LIST-2"}]
        assert subject.asked[-1][1]["localAuthorizationList"] == wanted
