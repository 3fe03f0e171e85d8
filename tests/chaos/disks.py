"""A PostgreSQL whose disk can be filled and freed, on any Linux and as any user."""

import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import psutil
import psycopg

from deploy.postgres import EmbeddedPostgres
from deploy.process import Process, ProcessError
from tests.chaos import confinement

PROGRAM = str(Path(confinement.__file__))
DISK_BYTES = 160 * 1024 * 1024
ON_THE_DISK = ("base", "pg_wal")
SETTINGS = {"min_wal_size": "32MB", "max_wal_size": "48MB"}
"""Fewer spare segments of the log, which a full disk would have to find used up first."""
PIECE = 64 * 1024


class Disk(Protocol):
    """The disk of a PostgreSQL."""

    def fill(self) -> None:
        """Leave no room."""

    def free(self) -> None:
        """Make room again."""


class SmallDisk:
    """A file system of its own that a file fills to the last byte."""

    def __init__(self, holder: Process, data: Path) -> None:
        self._filler = Path(f"/proc/{holder.pid}/root{data}", ON_THE_DISK[0], "filler")

    def fill(self) -> None:
        """Write until the file system has no room."""
        with suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            while filler.write(bytes(PIECE)):
                pass

    def free(self) -> None:
        """Remove what fills it."""
        self._filler.unlink()


class FileSizeLimit:
    """Where nobody may mount: PostgreSQL takes a file that may not grow for a full disk.

    The limit concerns each process of the server and those that they start.
    """

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres

    def fill(self) -> None:
        """Let no write succeed."""
        self._limit(0)

    def free(self) -> None:
        """Let all writes succeed."""
        self._limit(-1)

    def _limit(self, size: int) -> None:
        with suppress(psutil.NoSuchProcess):  # it may have given up
            postmaster = psutil.Process(self._postgres.pid)
            server = [postmaster, *postmaster.children(recursive=True)]
            pids = [str(process.pid) for process in server]
            subprocess.run([sys.executable, PROGRAM, "limit", str(size), *pids], check=True)


class ConfinedPostgres(EmbeddedPostgres):
    """A PostgreSQL that sees the small disk of a holder."""

    def __init__(self, data: Path, log: Path, settings: Mapping[str, str], holder: Process) -> None:
        super().__init__(data, log, settings)
        self._holder = holder

    def _leashed(self) -> list[str]:
        enter = [sys.executable, "-I", "-S", PROGRAM, "enter", str(self._holder.pid)]
        return [*enter, *super()._leashed()]


@asynccontextmanager
async def postgres_on_a_small_disk(folder: Path) -> AsyncIterator[tuple[EmbeddedPostgres, Disk]]:
    """Run a PostgreSQL for the length of the block, and its disk."""
    data, log = folder / "postgres", folder / "postgres.log"
    postgres = EmbeddedPostgres(data, log, SETTINGS)
    await postgres.start()  # makes the cluster, which then moves
    await postgres.stop()
    holder = Holder(data.resolve(), folder / "disk.log")
    disk: Disk
    try:
        await holder.start()
        postgres = ConfinedPostgres(data, log, SETTINGS, holder)
        disk = SmallDisk(holder, data.resolve())
    except ProcessError as error:
        print(f"No small disk on this machine, files get a limit instead: {error}")
        disk = FileSizeLimit(postgres)
    try:
        await postgres.start()
        yield postgres, disk
    finally:
        await postgres.stop()
        await holder.stop()


class Holder(Process):
    """Keeps the small disk of a cluster."""

    def __init__(self, data: Path, log: Path) -> None:
        command = [sys.executable, PROGRAM, "hold", str(data), str(DISK_BYTES), *ON_THE_DISK]
        super().__init__("disk", command, log, ready=self._is_there)

    async def _is_there(self) -> bool:
        return confinement.READY in self.tail()


async def use_up_the_log(postgres: EmbeddedPostgres) -> None:
    """Let a PostgreSQL whose disk is full need new segments of its log until it gives up."""
    with suppress(psycopg.Error):
        async with await psycopg.AsyncConnection.connect(postgres.uri, autocommit=True) as session:
            while True:
                await session.execute("SELECT pg_logical_emit_message(false, 'chaos', 'more')")
                await session.execute("SELECT pg_switch_wal()")
