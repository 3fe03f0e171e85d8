"""Frames captured from chargers, which are no part of this repository, replayed where they lie.

The folder `field_frames` beside the checkout may hold `real_frames.jsonl` and, connection by
connection, `sequences/*.jsonl`: an object per line with at least `direction` (`cp->cs` for what the
charge point sent) and `frame` (the text). Without the folder there is nothing to replay and
this module holds no test.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import ocpp.v16.call
import pytest

from deploy.embedded import Platform
from tests.support.charge_points import RawChargePoint, raw_charge_point
from tests.support.platform import assert_no_traceback

FOLDER = Path(__file__).parents[3] / "shared" / "field_frames"
CALL, CALL_RESULT, CALL_ERROR = 2, 3, 4
LAST = '[2,"end-of-replay","Heartbeat",{}]'


def frames_of(file: Path) -> list[str]:
    """Return what the charge point sent, in order."""
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [line["frame"] for line in lines if line["direction"] == "cp->cs"]


FILES = [*FOLDER.glob("real_frames.jsonl"), *sorted(FOLDER.glob("sequences/*.jsonl"))]


def expected_answer(text: str) -> list[Any] | None:
    """Return type and message id of the answer; None: there is none.

    Only a call that is no JSON or of an action that OCPP 1.6 does not know may be refused.
    """
    try:
        kind, message_id, *rest = json.loads(text)
    except ValueError:
        head = re.match(r'\[2,"([^"]+)"', text)
        return [CALL_ERROR, head[1]] if head else None
    if kind != CALL:
        return None
    return [CALL_RESULT if hasattr(ocpp.v16.call, rest[0]) else CALL_ERROR, message_id]


async def replay(station: RawChargePoint, frames: list[str]) -> list[list[Any]]:
    """Send all frames, each as soon as the one before is answered, and return all answers."""
    answers: list[list[Any]] = []
    for text in frames:
        await station.send(text)
        if expected_answer(text) is not None:
            answers.append(await station.receive())
    await station.send(LAST)
    while (answer := await station.receive())[1] != "end-of-replay":
        answers.append(answer)
    return answers


async def assert_understood(platform: Platform, file: Path) -> None:
    frames = frames_of(file)
    digest = hashlib.sha256(file.name.encode()).hexdigest()[:8]
    async with raw_charge_point(platform.ocpp_url, f"CAPTURE-{digest}") as station:
        answers = await replay(station, frames)
    expected = [answer for text in frames if (answer := expected_answer(text)) is not None]
    assert [answer[:2] for answer in answers] == expected
    assert_no_traceback(platform)


if FILES:

    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
    async def test_a_captured_connection_is_understood(platform: Platform, file: Path) -> None:
        await assert_understood(platform, file)
