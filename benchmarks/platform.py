"""voltmesh itself, as `make run` starts it, with nothing but the load on it."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.frames import SAMPLES
from deploy.embedded import Platform
from deploy.settings import Settings

PARTS = ("gateway", "session_service", "device_service", "auth_service", "postgres", "envoy")
_STORED = """
SELECT count(*), coalesce(sum(cardinality(numbers)), 0), count(session_id)
FROM session.meter_values
"""


class StorageError(Exception):
    """Says that what was answered is not what is stored."""


@dataclass(frozen=True)
class Stored:
    """What PostgreSQL holds of the load."""

    meter_values: int
    samples: int
    with_session: int

    def check(self, answered: int) -> None:
        """Compare with the number of answers.

        Raises:
            StorageError: They differ, or samples are missing, or values belong to no session.
        """
        if self != Stored(answered, answered * SAMPLES, answered):
            raise StorageError(f"{answered} MeterValues were answered, but {self} is stored.")


@asynccontextmanager
async def running(
    folder: Path,
    database_url: str = "",
    extra_env: Mapping[str, Mapping[str, str]] | None = None,
) -> AsyncIterator[Platform]:
    """Run a platform with an empty database, on free ports, for the length of the block.

    Args:
        folder: Holds its database and logs; emptied first, left in place for a look at the logs.
        database_url: An empty database of another server; by default one of its own.
        extra_env: More environment variables for a part, by its name.
    """
    empty(folder)
    ports = dict.fromkeys(
        ("port", "envoy_admin_port", "auth_port", "session_port", "device_port", "gateway_port"), 0
    )
    settings = Settings.model_validate(
        {
            **ports,
            "data": folder / "data",
            "build": folder / "build",
            "fleet": 0,
            "database_url": database_url,
        }
    )
    async with Platform(settings, extra_env=extra_env) as platform:
        yield platform


def empty(folder: Path) -> None:
    """Make an empty folder, whatever was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def pids(platform: Platform) -> dict[str, int]:
    """Return the process ids of its parts."""
    return {name: platform.pid(name) for name in PARTS}


async def stored(platform: Platform) -> Stored:
    """Count the meter values in PostgreSQL."""
    async with await psycopg.AsyncConnection.connect(platform.database_url) as connection:
        cursor = await connection.execute(_STORED)
        row = await cursor.fetchone()
    assert row is not None
    return Stored(*(int(value) for value in row))
