"""Runs all of voltmesh on one machine, every part a process of its own, as in production.

`make run` calls this; the tests of the whole platform use the same class. A part that dies ends the
run: nothing here hides a crash by a restart.

    python -m deploy.embedded
"""

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from deploy import ports
from deploy.parts import SERVICES, Layout, Parts, lay_out, reachable
from deploy.ports import PortInUseError
from deploy.postgres import EmbeddedPostgres
from deploy.process import POLL_S, Process, ProcessError, run_to_end
from deploy.protos import CompilerError
from deploy.settings import Settings

HEALTHY_TIMEOUT_S = 30


class Platform:
    """The embedded platform: started in order, stopped in the opposite order.

    Its parts go by name: `postgres`, `auth_service`, `session_service`, `device_service`,
    `gateway` (then `gateway-2` and so on), `envoy`, `fleet`; with several replicas also `redis` and
    `device_service-2` and so on.

    Args:
        settings: Ports, folders, sizes; by default what the environment says.
        extra_env: More environment variables for a part, by its name.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        extra_env: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._extra_env = extra_env or {}
        self._layout: Layout | None = None
        self._database_url = self._settings.database_url
        self._parts: dict[str, Process] = {}

    # --- where things are

    @property
    def rest_url(self) -> str:
        """The URL before `/v1/…`, `/docs` and `/healthz`; gRPC is on the same port."""
        return f"http://{reachable(self._laid_out.public)}"

    @property
    def ocpp_url(self) -> str:
        """The WebSocket URL to which charge points add `/` and their identity."""
        return f"ws://{reachable(self._laid_out.public)}/ocpp"

    @property
    def database_url(self) -> str:
        """The URL of the database that the services share."""
        return self._database_url

    def address(self, name: str) -> str:
        """Return host:port of a service or gateway, past Envoy."""
        return {**self._laid_out.services, **self._laid_out.gateways}[name]

    def pid(self, name: str) -> int:
        """Return the process id of a part; of its last run, when it has ended."""
        return self._parts[name].pid

    def logs(self, name: str) -> str:
        """Return what a part wrote since its last start."""
        return self._parts[name].log.read_text(encoding="utf-8", errors="replace")

    # --- one life

    async def start(self) -> None:
        """Start everything and return when the platform serves.

        Raises:
            PortInUseError: a port is taken.
            ProcessError: a part does not start; what ran is stopped again.
        """
        self._layout = lay_out(self._settings)
        try:
            await self._start_database()
            await self._start_parts()
        except BaseException:
            await self.stop_all()
            raise

    async def stop_all(self) -> None:
        """Stop what runs: the fleet, the gateways, Envoy, the services, Redis, PostgreSQL.

        The gateways say goodbye to their charge points, through Envoy while it is still there.
        """
        for stage in ("fleet", "gateway", "envoy", "_service", "redis", "postgres"):
            processes = [process for name, process in self._parts.items() if stage in name]
            await asyncio.gather(*(process.stop() for process in processes))

    async def first_end(self) -> Process:
        """Wait until a part ends that nobody stopped, and return it."""
        waits = {asyncio.create_task(p.wait()): p for p in self._parts.values()}
        try:
            ended, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return waits[ended.pop()]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop_all()

    # --- one part

    async def stop_part(self, name: str) -> None:
        """Stop a part as at the end of a run."""
        await self._parts[name].stop()

    async def kill(self, name: str) -> None:
        """Kill a part (SIGKILL)."""
        await self._parts[name].kill()

    async def start_part(self, name: str) -> None:
        """Start a part that was stopped or killed and return when it is ready."""
        await self._parts[name].start()

    async def restart(self, name: str) -> None:
        """Stop a part, start it again, and return when it is ready."""
        await self.stop_part(name)
        await self.start_part(name)

    # --- the steps of a start

    @property
    def _laid_out(self) -> Layout:
        assert self._layout is not None, "the platform was not started"
        return self._layout

    async def _start_database(self) -> None:
        if self._database_url:
            return
        data = self._settings.data.resolve()
        (data / "logs").mkdir(parents=True, exist_ok=True)
        postgres = EmbeddedPostgres(data / "postgres", data / "logs" / "postgres.log")
        await self._start_process(postgres)
        self._database_url = postgres.uri

    async def _start_parts(self) -> None:
        parts = Parts(
            settings=self._settings,
            layout=self._laid_out,
            database_url=self._database_url,
            extra_env=self._extra_env,
        )
        parts.write_envoy_config()
        timeout = self._settings.migration_timeout_s
        await _all(*(run_to_end(parts.migration(name), timeout) for name in SERVICES))
        if self._laid_out.redis:
            await self._start_process(parts.redis())
        await _all(*(self._start_process(parts.service(name)) for name in self._laid_out.services))
        gateways = [parts.gateway(name) for name in self._laid_out.gateways]
        await _all(*(self._start_process(gateway) for gateway in gateways))
        await self._start_process(parts.envoy())
        await self._wait_until_healthy()
        if self._settings.fleet:
            await self._start_process(parts.fleet())

    async def _start_process(self, process: Process) -> None:
        self._parts[process.name] = process
        await process.start()

    async def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + HEALTHY_TIMEOUT_S
        while (status := await ports.healthz(reachable(self._laid_out.public))) != 200:
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"{self.rest_url}/healthz still answers {status} after {HEALTHY_TIMEOUT_S} s; "
                    f"it says which part is not ready. The logs are in {self._settings.data}/logs."
                )
            await asyncio.sleep(POLL_S)


async def _all(*steps: Coroutine[object, object, None]) -> None:
    """Run steps side by side; the first failure ends the others and is raised."""
    tasks = [asyncio.create_task(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise


BANNER = """
voltmesh runs. Ctrl-C stops it.

  REST          {rest}/v1/chargePoints
  API pages     {rest}/docs
  Health        {rest}/healthz
  OCPP 1.6J     {ocpp}/{{charge point id}}   (subprotocol ocpp1.6)
  Data, logs    {data}

  curl {rest}/v1/sessions

For trying out only: unknown charge points are accepted, and nobody is asked for a password.
"""


async def run(settings: Settings) -> int:
    """Run the platform until a signal (exit code 0) or until a part dies or does not start (1)."""
    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    life = asyncio.create_task(_live(settings))
    interruption = asyncio.create_task(interrupted.wait())
    await asyncio.wait({life, interruption}, return_when=asyncio.FIRST_COMPLETED)
    if interruption.done():
        print("Stopping …", flush=True)
        life.cancel()
    interruption.cancel()
    return await _outcome(life)


async def _live(settings: Settings) -> str:
    """Run the platform until a part ends, and return what a person needs to know about it."""
    print("Starting voltmesh …", flush=True)
    async with Platform(settings) as platform:
        banner = BANNER.format(
            rest=platform.rest_url, ocpp=platform.ocpp_url, data=settings.data.resolve()
        )
        print(banner, flush=True)
        return (await platform.first_end()).describe_end()


async def _outcome(life: asyncio.Task[str]) -> int:
    try:
        message = await life
    except asyncio.CancelledError:
        return 0
    except (PortInUseError, ProcessError, CompilerError) as error:
        message = str(error)
    print(message, file=sys.stderr, flush=True)
    return 1


def main() -> int:
    """Run the platform as the environment says."""
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0]).upper()
            prefix = "" if name in {"FLEET", "GATEWAYS", "DEVICE_REPLICAS"} else "CSMS_"
            print(f"{prefix}{name}: {problem['msg']}", file=sys.stderr)
        return 1
    return asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())
