"""Whether lists and single reads stay fast when there is much to read.

Two platforms run side by side on one PostgreSQL server, one with a year behind it and one that has
hardly begun. Each call goes to both in turn, and both answer with as many rows.
"""

import asyncio
import http
import random
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg

from benchmarks import platform as voltmesh
from benchmarks.history import History, generate
from benchmarks.latency import Latency, latency
from benchmarks.rest import Rest
from benchmarks.scale import Scale
from deploy.embedded import Platform
from deploy.postgres import EmbeddedPostgres

PAGE = 20
_WALKED_PAGE = 1000
_SETTINGS = {
    # It is thrown away, and it is loaded at once: nothing to be restored from a log.
    "fsync": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    # What was loaded is vacuumed and analysed when it is measured.
    "autovacuum": "off",
}

# What runs in the generated past is not to be ended for its silence.
_ENVIRONMENT = {"session_service": {"CSMS_TEND_INTERVAL_S": "86400"}}


class DepthError(Exception):
    """Says which read did not answer as it should."""


@dataclass(frozen=True)
class Read:
    """One REST call, in both databases.

    Attributes:
        shallow: With hardly anything in the database.
        deep: With the whole history in it.
    """

    name: str
    shallow: Latency
    deep: Latency

    @property
    def ratio(self) -> float:
        """The median in depth as a multiple of the other."""
        return self.deep.p50_ms / self.shallow.p50_ms


@dataclass(frozen=True)
class Depth:
    """What reading in depth costs."""

    history: History
    generated_s: float
    reads: tuple[Read, ...]


def deep(scale: Scale, now: datetime) -> History:
    """Return a year: a thousand charge points, half of which charge."""
    sessions = scale.depth_sessions
    return History(
        end=now.astimezone(UTC),
        months=12,
        sessions=sessions,
        charge_points=min(1000, sessions // 40),
        tags=min(1000, sessions // 40),
        running=min(500, sessions // 4),
        entries=sessions // 10,
    )


def shallow(now: datetime) -> History:
    """Return just enough to fill two pages of each list."""
    return History(
        end=now.astimezone(UTC),
        months=1,
        sessions=100,
        charge_points=2,
        tags=2,
        running=50,
        entries=50,
    )


async def measure(folder: Path, scale: Scale, tell: Callable[[str], None]) -> Depth:
    """Fill two databases and read from both.

    Raises:
        DepthError: A call failed, or did not return a full page.
        ProcessError: A platform did not start.
    """
    now = datetime.now(UTC)
    histories = (shallow(now), deep(scale, now))
    async with _server(folder) as postgres:
        urls = [await _database(postgres, name) for name in ("shallow", "deep")]
        async with (
            voltmesh.running(folder / "shallow", urls[0], _ENVIRONMENT) as small,
            voltmesh.running(folder / "deep", urls[1], _ENVIRONMENT) as large,
        ):
            begin = time.perf_counter()
            for url, history in zip(urls, histories, strict=True):
                await asyncio.to_thread(_generate, url, history, tell)
            seconds = time.perf_counter() - begin
            reads = await asyncio.to_thread(
                _measure, (small, large), histories, scale.depth_calls, tell
            )
    return Depth(histories[1], seconds, reads)


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """Run a PostgreSQL server and remove its gigabytes at the end."""
    voltmesh.empty(folder)
    postgres = EmbeddedPostgres(folder / "postgres", folder / "postgres.log", _SETTINGS)
    try:
        await postgres.start()
        yield postgres
    finally:
        await postgres.stop()
        shutil.rmtree(folder / "postgres", ignore_errors=True)


async def _database(postgres: EmbeddedPostgres, name: str) -> str:
    uri = postgres.uri_of("postgres")
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name}".encode())
    return postgres.uri_of(name)


def _generate(url: str, history: History, tell: Callable[[str], None]) -> None:
    for done in generate(url, history):
        tell(f"{done:,} of {history.meter_values:,} meter values generated")


def _measure(
    platforms: tuple[Platform, Platform],
    histories: tuple[History, History],
    count: int,
    tell: Callable[[str], None],
) -> tuple[Read, ...]:
    tell(f"reading from both, {count} times each call")
    readers = [
        Reader(Rest(platform.rest_url), history)
        for platform, history in zip(platforms, histories, strict=True)
    ]
    try:
        for _ in range(count):
            for reads in zip(*(reader.calls() for reader in readers), strict=True):
                for reader, call in zip(readers, reads, strict=True):
                    reader.time(*call)
    finally:
        for reader in readers:
            reader.close()
    first, second = (reader.latencies() for reader in readers)
    return tuple(Read(name, first[name], second[name]) for name in first)


class Reader:
    """Reads one database, now this, now that of it, and takes the time.

    Args:
        rest: A client of the platform on it.
        history: What it holds.

    Raises:
        DepthError: A call failed.
    """

    def __init__(self, rest: Rest, history: History) -> None:
        self._rest, self._history = rest, history
        self._chance = random.Random(1)
        self._seconds: dict[str, list[float]] = {}
        self._middle = self._walk(history.sessions // 2)

    def close(self) -> None:
        """Close the connection."""
        self._rest.close()

    def latencies(self) -> Mapping[str, Latency]:
        """Return what was measured, by the name of the call."""
        return {name: latency(seconds) for name, seconds in self._seconds.items()}

    def time(self, name: str, path: str) -> None:
        """Read once.

        Raises:
            DepthError: The call failed, or is a list and did not fill its page.
        """
        begin = time.perf_counter()
        answer = self._get(path)
        self._seconds.setdefault(name, []).append(time.perf_counter() - begin)
        rows = next((rows for rows in answer.values() if isinstance(rows, list)), None)
        if "?" in path and (rows is None or len(rows) != PAGE):
            raise DepthError(f"{path} did not return {PAGE} rows.")

    def calls(self) -> list[tuple[str, str]]:
        """Return the calls, by name, for rows that chance picks."""
        history = self._history
        ended = self._chance.randrange(history.ended)
        running = self._chance.randrange(history.ended, history.sessions)
        first, end = history.month(ended)
        month = {"startTimeFrom": _json(first), "startTimeUntil": _json(end)}
        ended_name, running_name = (
            f"/v1/sessions/{history.session_id(session)}" for session in (ended, running)
        )
        charge_point = f"chargePoints/{history.charge_point(ended)}"
        return [
            ("a session that has ended", ended_name),
            ("a session that runs", running_name),
            ("sessions, the newest", _list("sessions")),
            ("sessions, in the middle", _list("sessions", pageToken=self._middle)),
            ("sessions of a charge point", _list("sessions", chargePoint=charge_point)),
            ("sessions of a tag", _list("sessions", idTag=f"idTags/{history.tag(ended)}")),
            ("sessions that run", _list("sessions", state="STATE_ACTIVE")),
            ("sessions that have ended", _list("sessions", state="STATE_COMPLETED")),
            ("sessions that began in a month", _list("sessions", **month)),
            ("meter values of a session that has ended", _meter_values(ended_name)),
            ("meter values of a session that runs", _meter_values(running_name)),
            ("quarantine, the newest", _list("quarantine")),
        ]

    def _walk(self, rows: int) -> str:
        """Return the token of the page behind so many sessions."""
        token = ""
        while rows > 0:
            size = min(rows, _WALKED_PAGE)
            query = urlencode({"pageSize": size, "pageToken": token})
            token = self._get(f"/v1/sessions?{query}")["nextPageToken"]
            rows -= size
        return token

    def _get(self, path: str) -> dict[str, Any]:
        status, answer = self._rest.call("GET", path)
        if status != http.HTTPStatus.OK:
            raise DepthError(f"{path} was answered {status}: {answer}")
        found: dict[str, Any] = answer
        return found


def _list(collection: str, **query: str) -> str:
    return f"/v1/{collection}?{urlencode({'pageSize': PAGE, **query}, quote_via=quote)}"


def _meter_values(session: str) -> str:
    return f"{session}/meterValues?pageSize={PAGE}"


def _json(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
