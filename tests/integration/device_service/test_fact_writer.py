"""Batches of facts: what they cost and what they do to each other, on a real PostgreSQL."""

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa

from device_service.domain import ChargePointId, Connector, Hardware, Notice, State
from device_service.facts import (
    BootReported,
    ConnectionClosed,
    ConnectionOpened,
    Fact,
    GatewayBeat,
    NoticeReported,
    StatusReported,
)
from device_service.store import FactWriter, PostgresChargePointStore, PostgresReportStore
from device_service.wiring import SCHEMA
from servicekit.database import Database
from servicekit.group_commit import GroupCommit
from tests.integration.device_service.gateway import NOW
from tests.support.statements import noted


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, SCHEMA)
    yield database
    await database.close()


def a_status(number: int) -> StatusReported:
    return StatusReported(Connector(f"CP-{number}", 1, "Charging", "NoError", NOW))


def a_boot(number: int, firmware_version: str = "1") -> BootReported:
    hardware = Hardware(vendor="V", firmware_version=firmware_version)
    return BootReported(f"CP-{number}", NOW, hardware, State.ACCEPTED, "etag")


def opening(number: int) -> ConnectionOpened:
    return ConnectionOpened(
        f"CP-{number}", f"conn-{number}", "gateway", "instance", "", "ocpp1.6", NOW, NOW
    )


def all_kinds(number: int) -> list[Fact]:
    notice = Notice(uuid.uuid4(), f"CP-{number}", f"conn-{number}", "1", "DataTransfer", "{}", NOW)
    return [
        a_status(number),
        a_boot(number),
        NoticeReported(notice, firmware_status="Idle", diagnostics_status="Idle"),
        opening(number),
        ConnectionClosed(f"CP-{number}", f"conn-{number}", NOW, 1000, ""),
        GatewayBeat("gateway", "instance", NOW, {f"CP-{number}": NOW}),
    ]


async def statements(database: Database, facts: Sequence[Fact]) -> int:
    with noted(database) as executed:
        await FactWriter(database).write(facts)
    return len(executed)


async def test_statuses_cost_one_statement_whatever_their_number(database: Database) -> None:
    assert await statements(database, [a_status(1)]) == 1
    assert await statements(database, [a_status(number) for number in range(300)]) == 1


async def test_batch_of_all_kinds_costs_the_same_statements_as_one_of_each(
    database: Database,
) -> None:
    few = await statements(database, all_kinds(0))
    many = await statements(database, [fact for number in range(100) for fact in all_kinds(number)])
    assert few == many


async def test_boots_cost_three_statements_whatever_their_number(database: Database) -> None:
    assert await statements(database, [a_boot(1)]) == 3
    assert await statements(database, [a_boot(number) for number in range(300)]) == 3


async def test_what_a_charge_point_says_is_kept_letter_by_letter(database: Database) -> None:
    info = '"quoted" \\ {brace} \u00e9 \U0001f50c \n\t\' $1 %s'
    said = Connector("CP-1", 1, "Faulted", "OtherError", NOW, info, "v", "c", NOW)
    await FactWriter(database).write([StatusReported(said)])
    async with database.statements() as connection:
        kept = (await connection.execute(sa.text("SELECT info FROM status_history"))).scalars()
    assert list(kept) == [info]
    assert await PostgresReportStore(database).find_connector(ChargePointId("CP-1"), 1) == said


async def test_status_that_is_sent_again_is_in_the_history_once(database: Database) -> None:
    await FactWriter(database).write([a_status(1), a_status(2)])
    await FactWriter(database).write([a_status(2), a_status(1), a_status(2)])
    async with database.statements() as connection:
        assert await connection.scalar(sa.text("SELECT count(*) FROM status_history")) == 2


async def test_fact_that_cannot_be_stored_fails_alone(database: Database) -> None:
    recorder = GroupCommit(FactWriter(database).write)
    bad = StatusReported(Connector("CP-1", 1, "Charging\0", "NoError", NOW))
    good = [a_status(number) for number in range(2, 12)]
    results = await asyncio.gather(
        *(recorder.submit(fact) for fact in (*good, bad)), return_exceptions=True
    )
    assert [isinstance(result, Exception) for result in results] == [False] * 10 + [True]
    async with database.statements() as connection:
        assert await connection.scalar(sa.text("SELECT count(*) FROM connectors")) == 10


async def test_last_boot_of_a_batch_stands(database: Database) -> None:
    boots = [a_boot(1, firmware_version=str(number)) for number in range(5)]
    registrations = await FactWriter(database).write([*boots, a_status(1)])
    assert [item.state if item else None for item in registrations] == [State.ACCEPTED] * 5 + [None]
    read = await PostgresChargePointStore(database).find(ChargePointId("CP-1"), NOW)
    assert read is not None
    assert read.hardware.firmware_version == "4"


async def test_newest_connection_of_a_batch_is_the_current_one(database: Database) -> None:
    newer = dataclasses.replace(
        opening(1), connection_id="newer", gateway_id="newer", open_time=NOW + timedelta(seconds=1)
    )
    late_close = ConnectionClosed("CP-1", "conn-1", NOW + timedelta(seconds=2), 1006, "")
    await FactWriter(database).write([a_boot(1), newer, opening(1), late_close])
    read = await PostgresChargePointStore(database).find(
        ChargePointId("CP-1"), NOW - timedelta(seconds=1)
    )
    assert read is not None
    assert (read.link.gateway, read.link.online) == ("newer", True)


@pytest.mark.parametrize(
    "kind",
    [
        BootReported,
        StatusReported,
        NoticeReported,
        ConnectionOpened,
        ConnectionClosed,
        GatewayBeat,
    ],
)
async def test_writers_that_meet_on_the_same_rows_do_not_deadlock(
    database: Database, kind: type[Fact]
) -> None:
    facts = [fact for number in range(300) for fact in all_kinds(number)]
    await FactWriter(database).write([fact for fact in facts if not isinstance(fact, kind)])
    meeting = [fact for fact in facts if isinstance(fact, kind)]
    writers = [FactWriter(database) for _ in range(4)]
    for _ in range(3):
        await asyncio.gather(
            *(
                writer.write(meeting[:: 1 if index % 2 else -1])
                for index, writer in enumerate(writers)
            )
        )


async def test_writers_that_meet_crosswise_do_not_deadlock(database: Database) -> None:
    facts = [all_kinds(number) for number in range(300)]
    await FactWriter(database).write([fact for of_one in facts for fact in of_one])
    boots, told = (
        [fact for of_one in facts for fact in of_one if isinstance(fact, kind)]
        for kind in (BootReported, NoticeReported)
    )
    crosswise = [*boots[:150], *told[150:]], [*boots[150:], *told[:150]]
    for _ in range(5):
        await asyncio.gather(*(FactWriter(database).write(each) for each in crosswise * 2))
