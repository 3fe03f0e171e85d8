"""One program that the runner starts, watches and stops."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
POLL_S = 0.05
TAIL_LINES = 12


class ProcessError(Exception):
    """Says in a line or two which program failed, how, and where its log is."""


async def always_ready() -> bool:
    """Tell that a program is ready as soon as it runs."""
    return True


class Process:
    """A program in its own session, so that a Ctrl-C of the terminal reaches the runner alone.

    Its output goes to a log file; the log of the run before is kept beside it as `.1`. It ends when
    the process that started it ends. Start it from a thread that lives as long as it should.

    Args:
        name: What people call it.
        command: The program and its arguments.
        log: The file for its output; the folder must exist.
        env: Its whole environment; by default the runner's.
        ready: Tells whether it serves; asked until it does.
        start_timeout_s: How long it may take to become ready.
        stop_timeout_s: How long it may take to end by itself once asked to.
        stop_signal: How it is asked to end.
        orphan_signal: What it gets when the starter was killed; then nobody is left to insist.
        user: The user that it runs as; by default the present one.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        ready: Callable[[], Awaitable[bool]] = always_ready,
        start_timeout_s: float = 30,
        stop_timeout_s: float = 2,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphan_signal: signal.Signals = signal.SIGKILL,
        user: str | None = None,
    ) -> None:
        self.name, self.log = name, log
        self._command, self._env = command, env
        self._ready, self._user = ready, user
        self._start_timeout_s, self._stop_timeout_s = start_timeout_s, stop_timeout_s
        self._stop_signal, self._orphan_signal = stop_signal, orphan_signal
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id; of the last run, when it has ended.

        Raises:
            ProcessError: it was never started.
        """
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it and return when it is ready.

        Raises:
            ProcessError: it ended, or it was not ready in time; then it is stopped.
        """
        if self.running:
            raise ProcessError(f"{self.name} runs already.")
        if self.log.exists():
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._leashed(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                start_new_session=True,
            )
        await self._wait_until_ready()

    async def wait(self) -> int:
        """Return the exit code when it has ended; -9 means killed by signal 9."""
        return await self._started().wait()

    async def stop(self) -> None:
        """Ask it to end, kill it when it does not in time; nothing of its session stays."""
        if self._process is None:
            return
        if self.running:
            self._send(self._stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), self._stop_timeout_s)
        await self.kill()

    async def kill(self) -> None:
        """Kill it and what it started, at once (SIGKILL)."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        await self.wait()

    def tail(self) -> str:
        """Return the last lines of the log."""
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return "".join(deque(lines, TAIL_LINES)).rstrip()

    def describe_end(self) -> str:
        """Return what a person needs to know about its end: how, its last words, its log."""
        code = self._started().returncode
        how = (
            f"was killed by signal {-code}" if code is not None and code < 0 else f"ended ({code})"
        )
        return f"{self.name} {how}. Its log is {self.log}; the last lines:\n{self.tail()}"

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ProcessError(f"{self.name} was not started.")
        return self._process

    def _leashed(self) -> list[str]:
        leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid())]
        return [*leash, str(int(self._orphan_signal)), self._user or "-", "--", *self._command]

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._started().send_signal(number)

    async def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        while not await self._ready():
            if not self.running:
                raise ProcessError(self.describe_end())
            if time.monotonic() > deadline:
                await self.stop()
                raise ProcessError(
                    f"{self.name} was not ready within {self._start_timeout_s:.0f} s. "
                    f"Its log is {self.log}; the last lines:\n{self.tail()}"
                )
            await asyncio.sleep(POLL_S)


async def run_to_end(process: Process, timeout_s: float) -> None:
    """Start a program that does one thing and wait for its end.

    Raises:
        ProcessError: it failed, or it took too long; then it is stopped.
    """
    await process.start()
    try:
        code = await asyncio.wait_for(process.wait(), timeout_s)
    except TimeoutError:
        raise ProcessError(f"{process.name} took longer than {timeout_s:.0f} s.") from None
    finally:
        await process.stop()
    if code != 0:
        raise ProcessError(process.describe_end())
