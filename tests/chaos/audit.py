"""Compares what the platform holds with what the charge points have said and were told."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from tests.chaos.facts import Fact, Ledger, Transaction
from tests.support.rest import Rest

PAGE = 1000
SHOWN = 40
READERS = 4

_READINGS = """
SELECT charge_point_id, connector_id, numbers[1]::bigint
FROM session.meter_values WHERE charge_point_id = ANY(%s)
"""
_STATUSES = """
SELECT charge_point_id, connector_id, info
FROM device.status_history WHERE charge_point_id = ANY(%s)
"""


async def assert_all_there_once(
    rest: Rest, database_url: str, ledgers: Sequence[Ledger], *circumstances: str
) -> None:
    """Fail when something is missing, doubled, invented or wrong; say what, and how it came about.

    Every fact has to be answered before. The API is asked for all that it shows; the tables are
    counted for what belongs to no session and for the history of statuses.
    """
    found = await _complaints(rest, database_url, ledgers)
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    assert not found, "\n".join([*found[:SHOWN], *more, summary(ledgers), *circumstances])


async def _complaints(rest: Rest, database_url: str, ledgers: Sequence[Ledger]) -> list[str]:
    names = [ledger.charge_point_id for ledger in ledgers]
    found = [f"never answered: {fact}" for ledger in ledgers for fact in _unanswered(ledger)]
    room = asyncio.Semaphore(READERS)
    for problems in await asyncio.gather(*(_of_one(rest, ledger, room) for ledger in ledgers)):
        found += problems
    readings, statuses = await _tables(database_url, names)
    found += _differences("reading", _told_readings(ledgers), readings)
    found += _differences("status", _told_statuses(ledgers), statuses)
    return found


def summary(ledgers: Sequence[Ledger]) -> str:
    """Return in a line what was counted."""
    facts = [fact for ledger in ledgers for fact in ledger.facts]
    transactions = sum(len(ledger.transactions) for ledger in ledgers)
    sent, refused = sum(fact.sent for fact in facts), sum(fact.refused for fact in facts)
    repeated = sum(fact.sent > 1 for fact in facts)
    return (
        f"{len(facts)} facts of {transactions} transactions in {sent} frames: {repeated} facts were"
        f" sent more than once, {refused} frames refused"
    )


def _unanswered(ledger: Ledger) -> list[Fact]:
    return [fact for fact in ledger.facts if not fact.answers]


async def _of_one(rest: Rest, ledger: Ledger, room: asyncio.Semaphore) -> list[str]:
    async with room:
        name = f"chargePoints/{ledger.charge_point_id}"
        found = _answers(ledger)
        found += await _sessions(rest, name, ledger)
        found += await _notices(rest, name, ledger)
        entries = await pages(rest, "/v1/quarantine", "quarantineEntries", chargePoint=name)
        found += [f"{name}: in quarantine: {entry}" for entry in entries]
    return found


def _answers(ledger: Ledger) -> list[str]:
    """A repeated fact gets the answer of the first time; a start of its own gets its own id."""
    found = [
        f"{ledger.charge_point_id}: answers differ: {fact.answers} to {fact}"
        for fact in ledger.facts
        if fact.action != "BootNotification" and any(a != fact.answers[0] for a in fact.answers)
    ]
    ids = Counter(transaction.id for transaction in ledger.transactions)
    doubled = [number for number, count in ids.items() if count > 1]
    return found + [f"{ledger.charge_point_id}: transaction {n} given twice" for n in doubled]


# --- sessions


async def _sessions(rest: Rest, name: str, ledger: Ledger) -> list[str]:
    stored = await pages(rest, "/v1/sessions", "sessions", chargePoint=name)
    told = {str(transaction.id): transaction for transaction in ledger.transactions}
    found = _differences(
        f"{name} session",
        Counter(told.keys()),
        Counter(session["ocppTransactionId"] for session in stored),
    )
    for session in stored:
        if transaction := told.get(session["ocppTransactionId"]):
            found += _wrong_members(session, transaction)
            found += await _wrong_attribution(rest, session, transaction)
    return found


def _wrong_members(session: dict[str, Any], transaction: Transaction) -> list[str]:
    expected = _expected(transaction)
    if transaction.doubts:  # one doubt may raise others
        session = session | {"flags": [f for f in session["flags"] if f in transaction.doubts]}
    return [
        f"{session['name']} of {session['chargePoint']}: {member} is {session.get(member)!r}, "
        f"the charge point said {value!r}"
        for member, value in expected.items()
        if session.get(member) != value
    ]


def _expected(transaction: Transaction) -> dict[str, Any]:
    start, stop = transaction.start.payload, transaction.stop
    expected = {
        "connectorId": start["connectorId"],
        "idTag": f"idTags/{start['idTag']}",
        "authorizationStatus": transaction.start.answers[0]["idTagInfo"]["status"],
        "startTime": start["timestamp"],
        "meterStartWh": str(start["meterStart"]),
        "flags": transaction.doubts,
    }
    if stop is None:
        return expected | {"state": "STATE_ACTIVE"}
    return expected | {
        "state": "STATE_COMPLETED",
        "stopTime": stop.payload["timestamp"],
        "meterStopWh": str(stop.payload["meterStop"]),
        "energyWh": str(stop.payload["meterStop"] - start["meterStart"]),
        "stopReason": stop.payload.get("reason"),
    }


async def _wrong_attribution(
    rest: Rest, session: dict[str, Any], transaction: Transaction
) -> list[str]:
    values = await pages(rest, f"/v1/{session['name']}/meterValues", "meterValues")
    shown = Counter(int(value["sampledValues"][0]["value"]) for value in values)
    what = f"{session['chargePoint']} {session['name']} reading"
    return _differences(what, Counter(transaction.readings), shown)


# --- what belongs to no session


async def _notices(rest: Rest, name: str, ledger: Ledger) -> list[str]:
    """A notice is of a frame: it says no time by which to tell a repeat from a second event.

    So each is there once at least, and no more often than its frame was sent.
    """
    path = f"/v1/{name}/notices"
    stored = await pages(rest, path, "notices", action="DataTransfer")
    counts = Counter(json.loads(notice["payload"])["data"] for notice in stored)
    sent = {fact.payload["data"]: fact.sent for fact in ledger.of("DataTransfer")}
    lost = [data for data in sent if not counts[data]]
    many = [data for data, count in counts.items() if count > sent.get(data, 0)]
    return [f"{name} notice {data!r} missing" for data in lost] + [
        f"{name} notice {data!r} stored {counts[data]} times, sent {sent.get(data, 0)} times"
        for data in many
    ]


async def _tables(
    database_url: str, names: list[str]
) -> tuple[Counter[tuple[Any, ...]], Counter[tuple[Any, ...]]]:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        readings = await (await connection.execute(_READINGS, [names])).fetchall()
        statuses = await (await connection.execute(_STATUSES, [names])).fetchall()
    return Counter(readings), Counter(statuses)


def _told_readings(ledgers: Iterable[Ledger]) -> Counter[tuple[Any, ...]]:
    return Counter(
        (ledger.charge_point_id, transaction.start.payload["connectorId"], reading)
        for ledger in ledgers
        for transaction in ledger.transactions
        for reading in transaction.readings
    )


def _told_statuses(ledgers: Iterable[Ledger]) -> Counter[tuple[Any, ...]]:
    return Counter(
        (ledger.charge_point_id, fact.payload["connectorId"], fact.payload["info"])
        for ledger in ledgers
        for fact in ledger.of("StatusNotification")
    )


def _differences(what: str, told: Counter[Any], stored: Counter[Any]) -> list[str]:
    return [
        f"{what} {key}: {stored[key]} times, expected {told[key]}"
        for key in sorted(told.keys() | stored.keys(), key=str)
        if stored[key] != told[key]
    ]


async def pages(rest: Rest, path: str, member: str, **params: Any) -> list[dict[str, Any]]:
    """Return all items of a list, page by page."""
    items: list[dict[str, Any]] = []
    token = ""
    while True:
        page = await rest.get(path, pageSize=PAGE, pageToken=token, **params)
        items += page[member]
        token = page.get("nextPageToken", "")
        if not token:
            return items
