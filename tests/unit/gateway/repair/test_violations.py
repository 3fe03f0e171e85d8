from typing import Any

import pytest

from gateway.ocppj.frames import ErrorCode
from tests.unit.gateway.repair.repairing import NOW, REPAIRER, STATUS, T, repair


@pytest.mark.parametrize(
    ("action", "payload", "path", "code"),
    [
        (
            "StatusNotification",
            STATUS | {"status": "Busy"},
            "status",
            "PropertyConstraintViolation",
        ),
        ("StatusNotification", {"connectorId": 1}, "", "OccurenceConstraintViolation"),
        (
            "StatusNotification",
            STATUS | {"connectorId": {}},
            "connectorId",
            "TypeConstraintViolation",
        ),
        (
            "StatusNotification",
            STATUS | {"connectorId": 1.5},
            "connectorId",
            "TypeConstraintViolation",
        ),
        (
            "StartTransaction",
            {"idTag": "TAG-1", "meterStart": 10, "timestamp": T},
            "",
            "OccurenceConstraintViolation",
        ),
        (
            "StatusNotification",
            STATUS | {"connectorId": 2**31},
            "connectorId",
            "PropertyConstraintViolation",
        ),
        ("SignCertificate", {"csr": "x" * 5501}, "csr", "PropertyConstraintViolation"),
        ("Heartbeat", 5, "", "FormationViolation"),
        ("Heartbeat", "x", "", "FormationViolation"),
    ],
)
def test_what_cannot_be_guessed_is_a_violation(
    action: str, payload: Any, path: str, code: str
) -> None:
    violation = repair(action, payload).violations[0]
    assert (violation.path, violation.code) == (path, code)
    assert violation.message


def test_nesting_without_end_is_a_violation() -> None:
    payload: dict[str, Any] = {}
    for _ in range(300):
        payload = {"data": payload}
    (violation,) = REPAIRER.repair("DataTransfer", payload, NOW).violations
    assert violation.code is ErrorCode.FORMATION_VIOLATION
