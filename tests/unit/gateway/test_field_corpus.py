import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.ocppj.actions import refusal_of
from gateway.ocppj.frames import Call, CallError, CallResult, Frame, Malformed, parse
from gateway.repair import Repaired, Repairer
from ocpp16.schemas import Schemas

FRAMES = Path(__file__).parents[2] / "field" / "frames"
NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
REPAIRER = Repairer(Schemas())

ROWS = [
    json.loads(line)
    for file in sorted(FRAMES.glob("*.jsonl"))
    for line in file.read_text(encoding="utf-8").splitlines()
]


def test_the_corpus_is_there_and_its_ids_are_unique() -> None:
    ids = [row["id"] for row in ROWS]
    assert len(ids) > 100
    assert len(set(ids)) == len(ids)


def repaired(frame: Frame, row: Mapping[str, Any]) -> Repaired:
    if isinstance(frame, Call) and refusal_of(frame.action) is None:
        return REPAIRER.repair(frame.action, frame.payload, NOW)
    if isinstance(frame, CallResult) and "answers" in row:
        return REPAIRER.repair_response(row["answers"], frame.payload, NOW)
    return Repaired({}, (), ())


def expected_of(frame: Frame) -> dict[str, Any]:
    """Return what the protocol alone demands as the answer to `frame`."""
    match frame:
        case Call():
            code = refusal_of(frame.action)
            return {"kind": "CALLERROR", "code": code} if code else {"kind": "CALLRESULT"}
        case Malformed() if frame.message_id is not None:
            return {"kind": "CALLERROR", "code": frame.code}
        case Malformed() | CallResult() | CallError():
            return {"kind": "NONE"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_frame_from_the_field_is_understood(row: dict[str, Any]) -> None:
    frame = parse(row["frame"])
    outcome = repaired(frame, row)
    assert list(outcome.rules) == row["repairs"]
    assert outcome.violations == ()
    expected = {name: value for name, value in row["expect"].items() if name != "payload"}
    assert expected_of(frame) == expected
