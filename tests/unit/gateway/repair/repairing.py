"""Payloads as charge points should send them, and a repairer of those that they do send."""

import copy
from datetime import UTC, datetime
from typing import Any

from gateway.repair import Repaired, Repairer
from ocpp16.schemas import Schemas

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
NOW_TEXT = "2026-01-02T03:04:05Z"
T = "2026-01-01T00:00:00Z"
SCHEMAS = Schemas()
REPAIRER = Repairer(SCHEMAS)

BOOT = {"chargePointVendor": "Voltaic", "chargePointModel": "V1"}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
START = {"connectorId": 1, "idTag": "TAG-1", "meterStart": 10, "timestamp": T}
STOP = {"transactionId": 7, "meterStop": 20, "timestamp": T}
GOOD = {"value": "230.1", "measurand": "Voltage"}


def meter_values(*samples: Any) -> dict[str, Any]:
    return {"connectorId": 1, "meterValue": [{"timestamp": T, "sampledValue": list(samples)}]}


def samples_of(repaired: Repaired) -> list[Any]:
    (entry,) = repaired.payload["meterValue"]
    return list(entry["sampledValue"])


def repair(action: str, payload: Any) -> Repaired:
    before = copy.deepcopy(payload)
    repaired = REPAIRER.repair(action, payload, NOW)
    assert payload == before
    return repaired
