"""A database with an outbox, and the outbox of one replica."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from servicekit.database import Database
from servicekit.outbox.table import CREATE, DROP
from servicekit.outbox.watch import Outbox
from tests.integration.servicekit.outbox.watching import SCHEMA


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    with psycopg.connect(database_url) as connection:
        for statements in (f"CREATE SCHEMA {SCHEMA}; SET search_path TO {SCHEMA}", CREATE, DROP):
            connection.execute(statements.encode())
        connection.execute(CREATE.encode())
    database = Database(database_url, SCHEMA, pool_size=20)
    yield database
    await database.close()


@pytest.fixture
async def outbox(database: Database) -> AsyncIterator[Outbox]:
    outbox = Outbox(database)
    yield outbox
    await outbox.close()
