import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from deploy.settings import ROOT
from tests.integration.deploy import fake_part
from tests.support.waiting import until

FREE_PORTS = (
    "PORT",
    "ENVOY_ADMIN_PORT",
    "AUTH_PORT",
    "SESSION_PORT",
    "DEVICE_PORT",
    "GATEWAY_PORT",
)
PARTS = ["postgres", "auth_service", "session_service", "device_service", "gateway", "envoy"]


class Run:
    """`python -m deploy.embedded` with stand-ins for everything but PostgreSQL and Envoy."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self.data = folder / "data"
        fake_part.install(folder)
        self.env = {
            **os.environ,
            **{f"CSMS_{name}": "0" for name in FREE_PORTS},
            "PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT, ROOT / "protos/gen"))),
            "CSMS_DATA": str(self.data),
            "CSMS_BUILD": str(folder / "build"),
            "FAKE_JOURNAL": str(self.journal),
            "FLEET": "1",
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "deploy.embedded"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.env,
            cwd=ROOT,
        )

    async def until_it_says(self, text: str) -> str:
        assert self.process.stdout is not None
        heard = b""
        async with asyncio.timeout(40):
            while text.encode() not in heard:
                line = await self.process.stdout.readline()
                assert line, await self.end()
                heard += line
        return heard.decode()

    async def end(self) -> tuple[int, str]:
        """Return the exit code and what was said on stderr."""
        _, errors = await asyncio.wait_for(self.process.communicate(), 40)
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def pid_of(self, name: str) -> int:
        (found,) = [p.pid for p in self.family() if [name] == p.cmdline()[2:3]]
        return found

    def events(self) -> list[str]:
        return self.journal.read_text(encoding="utf-8").splitlines()


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    platform = Run(tmp_path)
    yield platform
    with contextlib.suppress(ProcessLookupError):
        platform.process.kill()
    await platform.process.wait()
    await until(lambda: not alive(processes_of(tmp_path)))


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the processes that name the folder in their command or environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            words = [*process.cmdline(), process.environ().get("CSMS_DATA", "")]
            if any(str(folder) in word for word in words):
                found.append(process)
    return found


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


async def test_it_starts_in_order_and_stops_in_the_opposite_order(run: Run) -> None:
    await run.start()
    said = await run.until_it_says("for a password")
    await until(lambda: "simulator started" in run.events())
    family = run.family()
    run.process.send_signal(signal.SIGINT)
    code, errors = await run.end()
    assert (code, errors) == (0, "")
    assert not alive(family)
    assert "/docs" in said
    services = {"auth_service", "session_service", "device_service"}
    events = run.events()
    assert set(events[:3]) == {f"{name} migrated" for name in services}
    assert set(events[3:6]) == {f"{name} started" for name in services}
    assert events[6:10] == [
        "gateway started",
        "simulator started",
        "simulator stopped",
        "gateway stopped",
    ]
    assert set(events[10:]) == {f"{name} stopped" for name in services}
    assert "database system is shut down" in (run.data / "logs/postgres.log").read_text()


async def test_a_part_that_dies_ends_the_run(run: Run) -> None:
    await run.start()
    await run.until_it_says("for a password")
    family = run.family()
    os.kill(run.pid_of("session_service"), signal.SIGKILL)
    code, errors = await run.end()
    assert code == 1
    assert "session_service was killed by signal 9" in errors
    assert "session_service listens" in errors
    assert str(run.data / "logs" / "session_service.log") in errors
    assert not alive(family)


async def test_a_part_that_does_not_start_ends_the_run(run: Run) -> None:
    run.env["FAKE_FAILS"] = "device_service"
    await run.start()
    code, errors = await run.end()
    assert code == 1
    assert "device_service ended (1)" in errors
    assert "no luck today" in errors


async def test_nothing_outlives_a_killed_runner(run: Run, tmp_path: Path) -> None:
    await run.start()
    await run.until_it_says("for a password")
    family = run.family()
    assert len(family) > len(PARTS)
    run.process.kill()
    await until(lambda: not alive(family))
    assert not alive(processes_of(tmp_path))


async def test_it_starts_again_after_it_was_killed(run: Run) -> None:
    for _ in range(2):
        await run.start()
        await run.until_it_says("for a password")
        run.process.kill()
        await run.process.wait()


async def test_a_port_in_use_is_named_with_its_setting(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        run.env["CSMS_SESSION_PORT"] = str(port)
        await run.start()
        code, errors = await run.end()
    assert code == 1
    assert errors.count("\n") == 1
    assert f"Port {port} " in errors
    assert "CSMS_SESSION_PORT" in errors


async def test_a_setting_that_makes_no_sense_is_named(run: Run) -> None:
    run.env["CSMS_PORT"] = "public"
    await run.start()
    code, errors = await run.end()
    assert code == 1
    assert errors.startswith("CSMS_PORT: ")
