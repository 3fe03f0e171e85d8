"""COPY with a statement behind it, on a real PostgreSQL."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.copying import copy_then
from servicekit.database import Database
from servicekit.errors import DatabaseUnavailable

COPY = "COPY incoming FROM STDIN"
KEEP = "INSERT INTO kept SELECT number FROM incoming WHERE number > 1"
MANY = 100_000
"""Rows that fill the buffer of a connection several times over."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "public", pool_size=1)
    async with database.transaction() as connection:
        await connection.execute(sa.text("CREATE TABLE incoming (number integer)"))
        await connection.execute(sa.text("CREATE TABLE kept (number integer PRIMARY KEY)"))
    yield database
    await database.close()


async def kept(connection: AsyncConnection) -> list[int]:
    """Return what is kept."""
    return list(await connection.scalars(sa.text("SELECT number FROM kept ORDER BY number")))


async def test_rows_are_copied_and_the_statement_sees_them(database: Database) -> None:
    async with database.statements() as connection:
        await copy_then(connection, COPY, "1\n2\n3\n", KEEP)
    async with database.statements() as connection:
        assert await kept(connection) == [2, 3]


async def test_more_rows_than_fit_into_a_buffer_are_copied(database: Database) -> None:
    rows = "".join(f"{number}\n" for number in range(MANY))
    async with database.statements() as connection:
        await copy_then(connection, COPY, rows, KEEP)
        assert len(await kept(connection)) == MANY - 2


@pytest.mark.parametrize(
    ("copy", "rows", "statement", "error"),
    [
        ("COPY nowhere FROM STDIN", "2\n", KEEP, psycopg.errors.UndefinedTable),
        (COPY, "2\nmany\n", KEEP, psycopg.errors.InvalidTextRepresentation),
        (COPY, "2\n2\n", KEEP, psycopg.errors.UniqueViolation),
    ],
    ids=["the COPY", "a row", "the statement"],
)
async def test_what_the_server_refuses_leaves_nothing_behind(
    database: Database, copy: str, rows: str, statement: str, error: type[psycopg.Error]
) -> None:
    async with database.statements() as connection:
        with pytest.raises(error):
            await copy_then(connection, copy, rows, statement)
        assert await connection.scalar(sa.text("SELECT count(*) FROM incoming")) == 0
        assert await kept(connection) == []


async def test_rows_that_cannot_be_written_leave_nothing_behind(database: Database) -> None:
    def rows() -> Iterator[str]:
        yield "2\n"
        raise ZeroDivisionError

    async with database.statements() as connection:
        with pytest.raises(ZeroDivisionError):
            await copy_then(connection, COPY, rows(), KEEP)
        assert await connection.scalar(sa.text("SELECT count(*) FROM incoming")) == 0
        await copy_then(connection, COPY, "3\n", KEEP)
        assert await kept(connection) == [3]


async def test_a_server_that_goes_while_rows_are_written_is_away(
    database: Database, database_url: str
) -> None:
    def rows(backend: int) -> Iterator[str]:
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (backend,))
        yield "2\n"

    async def copy_meanwhile() -> None:
        async with database.statements() as connection:
            backend = await connection.scalar(sa.text("SELECT pg_backend_pid()"))
            await copy_then(connection, COPY, rows(backend), KEEP)

    with pytest.raises(DatabaseUnavailable):
        await copy_meanwhile()
    async with database.statements() as connection:
        assert await kept(connection) == []
        await copy_then(connection, COPY, "3\n", KEEP)
        assert await kept(connection) == [3]


async def test_within_a_transaction_it_is_part_of_it(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await copy_then(connection, COPY, "2\n", KEEP)
            assert await kept(connection) == [2]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.statements() as connection:
        assert await kept(connection) == []
