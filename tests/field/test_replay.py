"""Every frame of the corpus goes through the whole platform: Envoy, gateway, services, database."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.embedded import Platform
from tests.support.charge_points import RawChargePoint, ocpp_now, raw_charge_point
from tests.support.platform import assert_no_traceback
from tests.support.rest import Rest

Row = dict[str, Any]
Database = psycopg.AsyncConnection[Row]

FRAMES = Path(__file__).parent / "frames"
ROWS = {
    row["id"]: row
    for file in sorted(FRAMES.glob("*.jsonl"))
    for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())
}
TRANSACTION = "41007"
"""Stands in the frames for the transaction that runs; the platform gives it another number."""
NOTHING_TO_KEEP = {"Authorize", "Heartbeat"}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_frame_from_the_field_is_answered_and_kept(
    platform: Platform, rest: Rest, database: Database, row: Row
) -> None:
    charge_point_id = f"F-{row['id']}"[:48]
    async with raw_charge_point(platform.ocpp_url, charge_point_id) as station:
        await station.boot()
        text = row["frame"]
        if TRANSACTION in text:
            text = text.replace(TRANSACTION, await start_transaction(station))
        answers = await answers_to(station, text)
    assert_as_expected(answers, row, text)
    action = action_of(row)
    if action and action not in NOTHING_TO_KEEP:
        assert await kept_repairs(database, charge_point_id, action, row) == row["repairs"]
    if row["repairs"] and action == "SecurityEventNotification":
        await assert_shown(rest, charge_point_id, row)
    assert_no_traceback(platform)


async def start_transaction(station: RawChargePoint) -> str:
    started = await station.call(
        "StartTransaction",
        {"connectorId": 1, "idTag": "FIELD", "meterStart": 120000, "timestamp": ocpp_now()},
    )
    return str(started[2]["transactionId"])


async def answers_to(station: RawChargePoint, text: str) -> list[Any]:
    """Return what comes back before the answer to a Heartbeat that follows the frame."""
    await station.send(text)
    await station.send('[2,"end-of-test","Heartbeat",{}]')
    answers = []
    while (answer := await station.receive())[1] != "end-of-test":
        answers.append(answer)
    return answers


def assert_as_expected(answers: list[Any], row: Row, text: str) -> None:
    expect = row["expect"]
    if expect["kind"] == "NONE":
        assert answers == []
        return
    [answer] = answers
    assert json.dumps(answer[1]) in text  # the message id, number or text, as it was sent
    if expect["kind"] == "CALLERROR":
        assert (answer[0], answer[2]) == (4, expect["code"])
        assert isinstance(answer[3], str)
        assert answer[4] == {}
    else:
        assert answer[0] == 3, answer
        assert_holds(answer[2], expect.get("payload", {}))


def assert_holds(payload: Any, members: Mapping[str, Any]) -> None:
    for name, value in members.items():
        if isinstance(value, dict):
            assert_holds(payload[name], value)
        else:
            assert payload[name] == value


def action_of(row: Row) -> str | None:
    """Return the action of a call that is answered with a CALLRESULT."""
    if row["expect"]["kind"] != "CALLRESULT":
        return None
    action: str = json.loads(row["frame"].strip("\ufeff\x00"), strict=False)[2]
    return action


async def kept_repairs(
    database: Database, charge_point_id: str, action: str, row: Row
) -> list[str]:
    if action == "StartTransaction":
        return await one(database, "SELECT start_repairs FROM session.sessions", charge_point_id)
    if action == "StopTransaction":
        return await repairs_of_stop(database, charge_point_id, row)
    if action == "MeterValues":
        return await repairs_of_meter_values(database, charge_point_id, row)
    return await repairs_of_notice(database, charge_point_id, action)


async def one(database: Database, query: str, charge_point_id: str) -> list[str]:
    [row] = await rows(database, query, charge_point_id)
    [value] = row.values()
    return list(value or [])


async def rows(database: Database, query: str, charge_point_id: str) -> list[Row]:
    cursor = await database.execute(
        f"{query} WHERE charge_point_id = %s".encode(), (charge_point_id,)
    )
    return await cursor.fetchall()


async def repairs_of_stop(database: Database, charge_point_id: str, row: Row) -> list[str]:
    """Return the repairs of a stop; one that belongs to no session is kept as it was sent."""
    if TRANSACTION in row["frame"]:
        return await one(database, "SELECT stop_repairs FROM session.sessions", charge_point_id)
    [entry] = await rows(database, "SELECT * FROM session.quarantine", charge_point_id)
    assert (entry["action"], entry["reason"]) == ("StopTransaction", "UNKNOWN_TRANSACTION")
    if row["repairs"]:
        assert entry["raw_text"] == row["frame"]
    return list(row["repairs"])


async def repairs_of_meter_values(database: Database, charge_point_id: str, row: Row) -> list[str]:
    """Return the repairs of meter values; a report without a sample is kept as it was sent."""
    stored = await rows(database, "SELECT repairs FROM session.meter_values", charge_point_id)
    if stored:
        assert all(item == stored[0] for item in stored)
        return list(stored[0]["repairs"] or [])
    if {"empty_list_kept", "list_missing"}.issuperset(row["repairs"]):
        return list(row["repairs"])
    detail = "SELECT detail FROM session.quarantine"
    [entry] = await rows(database, detail, charge_point_id)
    return str(entry["detail"]).partition("repaired by ")[2].rstrip(".").split(", ")


async def repairs_of_notice(database: Database, charge_point_id: str, action: str) -> list[str]:
    """Return the repairs that a notice tells; no notice means that nothing was repaired."""
    stored = await rows(
        database, "SELECT action, repairs, raw_frame FROM device.notices", charge_point_id
    )
    told = [item for item in stored if item["action"] == action]
    assert all(bool(item["raw_frame"]) == bool(item["repairs"]) for item in told)
    return list(told[0]["repairs"]) if told else []


async def assert_shown(rest: Rest, charge_point_id: str, row: Row) -> None:
    page = await rest.get(f"/v1/chargePoints/{charge_point_id}/notices")
    [notice] = page["notices"]
    assert (notice["repairs"], notice["rawFrame"]) == (row["repairs"], row["frame"])


async def test_a_start_that_is_sent_again_is_the_same_session(
    platform: Platform, rest: Rest
) -> None:
    async with raw_charge_point(platform.ocpp_url, "F-AGAIN") as station:
        await station.boot()
        [first] = await answers_to(station, ROWS["F5-start-first"]["frame"])
        [again] = await answers_to(station, ROWS["F5-start-again"]["frame"])
    assert again[2] == first[2]
    assert len(await rest.sessions_of("F-AGAIN")) == 1


async def test_a_message_id_that_comes_again_after_a_boot_is_another_message(
    platform: Platform, rest: Rest
) -> None:
    async with raw_charge_point(platform.ocpp_url, "F-COUNTER") as station:
        [booted] = await answers_to(station, ROWS["B10-id-again-first"]["frame"])
        [reported] = await answers_to(station, ROWS["B10-id-again-second"]["frame"])
        connector = await rest.get("/v1/chargePoints/F-COUNTER/connectors/1")
    assert (booted[2]["status"], reported[2]) == ("Accepted", {})
    assert connector["status"] == "Available"
