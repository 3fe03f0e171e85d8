"""What the platform has stored, for reading back what its APIs do not show."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from deploy.embedded import Platform


@pytest.fixture(scope="session")
async def database(platform: Platform) -> AsyncIterator[psycopg.AsyncConnection[dict[str, Any]]]:
    """A connection to the platform's database, each statement a transaction."""
    connection = await psycopg.AsyncConnection.connect(
        platform.database_url, autocommit=True, row_factory=dict_row
    )
    yield connection
    await connection.close()
