"""Outages, recovery and migrations, on a PostgreSQL that the tests may stop."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, exc, text

from deploy.postgres import EmbeddedPostgres
from servicekit.database import Database
from servicekit.errors import DatabaseUnavailable
from servicekit.migrations import upgrade
from tests.support.postgres import ROOT

MIGRATIONS = ROOT / "auth_service" / "migrations"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("postgres")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    server = EmbeddedPostgres(folder / "data", folder / "log")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def database(server: EmbeddedPostgres) -> AsyncIterator[Database]:
    database = Database(server.uri, "auth", pool_size=2, timeout_s=0.3)
    yield database
    await database.close()


async def execute(database: Database, statement: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(statement))


async def test_statement_that_takes_too_long_is_given_up(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable) as raised:
        await execute(database, "SELECT pg_sleep(30)")
    assert raised.value.retry_after is not None
    await database.check()


async def test_transaction_that_stands_still_is_given_up(
    server: EmbeddedPostgres, database: Database
) -> None:
    """A process that hangs keeps its locks for a time only."""
    lock = text("SELECT pg_advisory_xact_lock(1)")
    patient = Database(server.uri, "auth", timeout_s=60)

    async def hang() -> None:
        async with database.transaction() as hanging:
            await hanging.execute(lock)
            async with patient.transaction() as waiting:
                await waiting.execute(lock)
            await hanging.execute(lock)

    with pytest.raises(DatabaseUnavailable):
        await hang()
    await patient.close()


async def test_wrong_statement_is_no_outage(database: Database) -> None:
    with pytest.raises(exc.ProgrammingError):
        await execute(database, "SELECT nothing FROM nowhere")
    await database.check()


async def test_block_that_raises_is_rolled_back(database: Database) -> None:
    await execute(database, "CREATE TABLE public.facts (fact int)")

    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.execute(text("INSERT INTO public.facts VALUES (1)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM public.facts")) == 0


async def test_lone_statement_is_committed_when_it_returns(database: Database) -> None:
    await execute(database, "CREATE TABLE public.lone_facts (fact int)")

    async def fail_afterwards() -> None:
        async with database.statements() as connection:
            await connection.execute(text("INSERT INTO public.lone_facts VALUES (1)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_afterwards()
    async with database.transaction() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM public.lone_facts")) == 1


async def test_connection_for_lone_statements_can_open_a_transaction_later(
    server: EmbeddedPostgres,
) -> None:
    database = Database(server.uri, "auth", pool_size=1)
    await execute(database, "CREATE TABLE public.later_facts (fact int)")
    async with database.statements() as connection:
        await connection.execute(text("SELECT 1"))

    async def fail_within() -> None:
        async with database.transaction() as connection:
            await connection.execute(text("INSERT INTO public.later_facts VALUES (1)"))
            raise RuntimeError("afterwards")

    with pytest.raises(RuntimeError, match="afterwards"):
        await fail_within()
    async with database.statements() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM public.later_facts")) == 0
    await database.close()


async def test_sessions_keep_the_schema_and_utc(database: Database) -> None:
    async with database.transaction() as connection:
        assert await connection.scalar(text("SHOW search_path")) == "auth"
        assert await connection.scalar(text("SHOW timezone")) == "UTC"


async def test_outage_is_told_and_recovered_from(
    server: EmbeddedPostgres, database: Database
) -> None:
    await asyncio.gather(database.check(), database.check())
    await server.stop()
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await database.check()
    await server.start()
    for _ in range(3):
        await database.check()


async def test_outage_that_nobody_met_is_not_met_afterwards(
    server: EmbeddedPostgres, database: Database
) -> None:
    await asyncio.gather(database.check(), database.check())
    await server.stop()
    await server.start()
    await asyncio.gather(database.check(), database.check())
    await execute(database, "SELECT 1")


async def test_server_that_closes_each_new_connection_is_away(
    server: EmbeddedPostgres, database: Database
) -> None:
    def terminate(driver: Any, _: object) -> None:
        pid = driver.driver_connection.info.backend_pid
        with psycopg.connect(server.uri) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    engine = database._engine.sync_engine
    event.listen(engine, "connect", terminate)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await database.check()
        with pytest.raises(DatabaseUnavailable):
            await execute(database, "SELECT 1")
    event.remove(engine, "connect", terminate)
    await database.check()


async def test_misuse_of_a_connection_is_no_outage(database: Database) -> None:
    async def begin_twice() -> None:
        async with database.transaction() as connection:
            await connection.begin()

    with pytest.raises(exc.InvalidRequestError):
        await begin_twice()


async def test_outage_within_a_transaction_is_told(
    server: EmbeddedPostgres, database: Database
) -> None:
    async def interrupted() -> None:
        async with database.transaction() as connection:
            await connection.execute(text("SELECT 1"))
            await server.stop()
            await connection.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable):
        await interrupted()
    await server.start()
    await database.check()


def tables(url: str, schema: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", [schema]
        )
        return [row[0] for row in rows]


def test_two_upgrades_at_once_do_not_meet(server: EmbeddedPostgres) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            upgrade(server.uri, "auth", MIGRATIONS)
        except exc.SQLAlchemyError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert not any(thread.is_alive() for thread in threads)
    assert len(tables(server.uri, "auth")) > 1


def test_upgrade_may_be_repeated(server: EmbeddedPostgres) -> None:
    upgrade(server.uri, "again", MIGRATIONS)
    before = tables(server.uri, "again")
    upgrade(server.uri, "again", MIGRATIONS)
    assert tables(server.uri, "again") == before
    assert len(before) > 1


def test_failed_upgrade_leaves_nothing(server: EmbeddedPostgres, tmp_path: Path) -> None:
    for name in ("env.py", "script.py.mako"):
        (tmp_path / name).write_bytes((MIGRATIONS / name).read_bytes())
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "0001_broken.py").write_text(
        "from alembic import op\nrevision = '0001'\ndown_revision = None\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (a int)')\n    op.execute('nonsense')\n"
    )
    with pytest.raises(exc.ProgrammingError):
        upgrade(server.uri, "broken", tmp_path)
    assert tables(server.uri, "broken") == []
