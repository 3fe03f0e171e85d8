"""The operations that no certification case under tests/conformance sends, there and back."""

from typing import Any

import pytest

from deploy.embedded import Platform
from tests.support.rest import Rest
from tests.support.subject import ACCEPTED, Stage

URL = "https://files.example/file"
TIME = "2026-01-02T03:04:05Z"
HASHES = {"issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "c"}
FIRMWARE = {
    "requestId": 1,
    "firmware": {
        "location": URL,
        "retrieveDateTime": TIME,
        "signingCertificate": "PEM",
        "signature": "s",
    },
}

OPERATIONS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # action: the enum members of the request as (REST, wire), its other members, the answer
    "ChangeAvailability": (
        {"type": ("AVAILABILITY_TYPE_INOPERATIVE", "Inoperative")},
        {"connectorId": 0},
        {"status": ("AVAILABILITY_STATUS_SCHEDULED", "Scheduled")},
    ),
    "DataTransfer": (
        {},
        {"vendorId": "com.acme", "messageId": "m", "data": "ü"},
        {"status": ("DATA_TRANSFER_STATUS_UNKNOWN_MESSAGE_ID", "UnknownMessageId")},
    ),
    "CertificateSigned": (
        {},
        {"certificateChain": "PEM"},
        {"status": ("CERTIFICATE_SIGNED_STATUS_REJECTED", "Rejected")},
    ),
    "DeleteCertificate": (
        {
            "certificateHashData": (
                {**HASHES, "hashAlgorithm": "HASH_ALGORITHM_SHA256"},
                {**HASHES, "hashAlgorithm": "SHA256"},
            )
        },
        {},
        {"status": ("DELETE_CERTIFICATE_STATUS_NOT_FOUND", "NotFound")},
    ),
    "ExtendedTriggerMessage": (
        {"requestedMessage": ("EXTENDED_MESSAGE_TRIGGER_HEARTBEAT", "Heartbeat")},
        {},
        {"status": ("TRIGGER_MESSAGE_STATUS_NOT_IMPLEMENTED", "NotImplemented")},
    ),
    "GetInstalledCertificateIds": (
        {
            "certificateType": (
                "CERTIFICATE_USE_CENTRAL_SYSTEM_ROOT_CERTIFICATE",
                "CentralSystemRootCertificate",
            )
        },
        {},
        {"status": ("GET_INSTALLED_CERTIFICATE_STATUS_NOT_FOUND", "NotFound")},
    ),
    "GetLog": (
        {"logType": ("LOG_TYPE_DIAGNOSTICS_LOG", "DiagnosticsLog")},
        {"requestId": 1, "log": {"remoteLocation": URL}},
        {"status": ("LOG_STATUS_ACCEPTED_CANCELED", "AcceptedCanceled")},
    ),
    "InstallCertificate": (
        {
            "certificateType": (
                "CERTIFICATE_USE_MANUFACTURER_ROOT_CERTIFICATE",
                "ManufacturerRootCertificate",
            )
        },
        {"certificate": "PEM"},
        {"status": ("INSTALL_CERTIFICATE_STATUS_FAILED", "Failed")},
    ),
    "SignedUpdateFirmware": (
        {},
        FIRMWARE,
        {"status": ("UPDATE_FIRMWARE_STATUS_ACCEPTED_CANCELED", "AcceptedCanceled")},
    ),
}


@pytest.fixture
async def stage(platform: Platform, rest: Rest) -> Stage:
    return Stage(platform, rest)


def sides(members: dict[str, tuple[Any, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the members as they are in REST and on the wire."""
    rest = {name: values[0] for name, values in members.items()}
    return rest, {name: values[1] for name, values in members.items()}


@pytest.mark.parametrize("action", OPERATIONS)
async def test_an_operation_goes_there_and_back(stage: Stage, action: str) -> None:
    enums, others, answer = OPERATIONS[action]
    (written, wire), (read, answered) = sides(enums), sides(answer)
    answers: dict[str, Any] = {action: answered}
    async with stage.subject(f"FURTHER-{action}", **answers) as subject:
        field = action[0].lower() + action[1:]
        told = await subject.answer_to(**{field: {**written, **others}})
        assert subject.asked == [(action, {**wire, **others})]
        assert read.items() <= told.items()


async def test_a_command_waits_for_its_charge_point_or_is_cancelled(stage: Stage) -> None:
    path = "/v1/chargePoints/FURTHER-AWAY/commands"
    await stage.rest.post("/v1/chargePoints", {}, chargePointId="FURTHER-AWAY")
    hard, soft = [
        await stage.rest.post(
            path, {"reset": {"type": f"RESET_TYPE_{kind}"}, "deliverWhenOnline": True}
        )
        for kind in ("HARD", "SOFT")
    ]
    assert {hard["state"], soft["state"]} == {"STATE_PENDING"}
    listed = (await stage.rest.get(path))["commands"]
    assert [item["name"] for item in listed] == [soft["name"], hard["name"]]
    cancelled = await stage.rest.post(f"/v1/{hard['name']}:cancel")
    assert cancelled["state"] == "STATE_CANCELLED"
    async with stage.subject("FURTHER-AWAY", Reset=ACCEPTED) as subject:
        delivered = await stage.rest.get(f"/v1/{soft['name']}", wait="10s")
        assert delivered["state"] == "STATE_COMPLETED"
        assert subject.asked == [("Reset", {"type": "Soft"})]


async def test_a_charge_point_may_not_know_an_operation(stage: Stage) -> None:
    async with stage.subject("FURTHER-LESS", Reset=ACCEPTED) as subject:
        command = await subject.command(clearCache={})
        assert command["state"] == "STATE_FAILED"
        assert command["callError"]["code"] == "NotImplemented"
        answer = await subject.answer_to(reset={"type": "RESET_TYPE_SOFT"})
        assert answer == {"status": "RESET_STATUS_ACCEPTED"}
