"""The simulator's command line: `python -m simulator --help`."""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

import structlog
import uvloop

from servicekit.clock import SystemClock
from servicekit.lifecycle import stop_signal
from servicekit.logs import configure_logs
from simulator.charge_point import ChargePoint
from simulator.connector import Pace
from simulator.fleet import id_tags, make_fleet, power_down, run_fleet
from simulator.rest import RegistrationFailed, register_id_tags
from simulator.settings import Settings

log = structlog.get_logger()

_REGISTRATION_PATIENCE_S = 60.0
_POWER_DOWN_PATIENCE_S = 1.5

_DESCRIPTION = """\
Simulate charge points that speak OCPP 1.6J to a central system: they boot, authorize drivers,
charge cars with a believable power curve, report meter values, and obey commands.
Before they start, the id tags of their drivers are registered over REST."""

_EPILOG = """\
Time: --speed makes batteries fill faster than the clock runs, so the energy of a session is
believable, and the energy registers grow --speed times faster than the reported power says.
With --speed 1 everything is as slow as it is on a car park.

Commands: every operation of OCPP 1.6 and of its security extension is obeyed. Nothing is really
transferred; a URL with "fail" in it makes the transfer fail, with "fail" and "install" the
installation of firmware, with "fail" and "signature" the check of signed firmware. Charging
profiles go by the clock and not by --speed. What charge points are told is forgotten at the end.

Stopping: SIGTERM or SIGINT stops the transactions that run with reason PowerLoss, as a charge point
does whose battery lets it finish, closes the connections and ends with exit code 0 within 2
seconds. What the central system has not answered by then is forgotten, and the next start begins
with BootNotification and new cars.

Exit codes: 0 stopped by a signal, 1 the id tags could not be registered, 2 wrong arguments.

CSMS_LOG_FORMAT (console or json) and CSMS_LOG_LEVEL set how and how much is logged."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parse = argparse.ArgumentParser(
        prog="python -m simulator",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parse.add_argument
    add(
        "--url",
        type=_url("ws", "wss"),
        default="ws://127.0.0.1:8080/ocpp",
        help="where charge points connect; the identity is appended (default: %(default)s)",
    )
    add(
        "--rest",
        type=_url("http", "https"),
        help="where the REST API is (default: http, or https, at the host and port of --url)",
    )
    add(
        "--count",
        type=_whole(1, 10_000),
        default=3,
        help="number of charge points (default: %(default)s)",
    )
    add(
        "--prefix",
        type=_prefix,
        default="DEMO",
        help="identities are PREFIX-1, PREFIX-2 …; id tags PREFIX-TAG-1 … (default: %(default)s)",
    )
    add(
        "--speed",
        type=_number(0.001, 10_000),
        default=40.0,
        help="seconds of charging in a second of the clock; with 40 a session takes a minute or "
        "two (default: %(default)g)",
    )
    add(
        "--meter-interval",
        type=_whole(1, 3600),
        default=5,
        metavar="SECONDS",
        help="time between the MeterValues of a session (default: %(default)s)",
    )
    add(
        "--pause",
        type=_number(0, 86_400),
        default=20.0,
        metavar="SECONDS",
        help="longest time between two cars at a connector (default: %(default)g)",
    )
    add(
        "--call-timeout",
        type=_number(0.1, 600),
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for an answer before a transaction message is repeated "
        "(default: %(default)g)",
    )
    add(
        "--ramp-up",
        type=_number(0, 3600),
        default=1.0,
        metavar="SECONDS",
        help="time over which the first connections are spread (default: %(default)g)",
    )
    return parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator until a signal comes and return the exit code."""
    options = parser().parse_args(arguments)
    configure_logs(
        "simulator",
        os.environ.get("CSMS_LOG_LEVEL", "INFO"),
        os.environ.get("CSMS_LOG_FORMAT", "console"),
    )
    try:
        uvloop.run(_run_until_stopped(options))
    except RegistrationFailed as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 1
    return 0


async def _run_until_stopped(options: argparse.Namespace) -> None:
    fleet = make_fleet(options.prefix, options.count, _settings(options))
    stopping = asyncio.create_task(stop_signal().wait())
    running = asyncio.create_task(_run(options, fleet))
    await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
    if stopping.done() and not running.done():
        log.info("stopping")
        await power_down(fleet, _POWER_DOWN_PATIENCE_S)
        running.cancel()
    stopping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _run(options: argparse.Namespace, fleet: Sequence[ChargePoint]) -> None:
    tags = id_tags(options.prefix, options.count)
    await register_id_tags(options.rest or rest_of(options.url), tags, _REGISTRATION_PATIENCE_S)
    log.info("fleet_starts", count=options.count, url=options.url, speed=options.speed)
    await run_fleet(fleet)


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        url=options.url,
        pace=Pace(speed=options.speed, pause_s=(options.pause / 4, options.pause)),
        clock=SystemClock(),
        meter_interval_s=options.meter_interval,
        call_timeout_s=options.call_timeout,
        first_delay_s=options.ramp_up,
    )


def rest_of(url: str) -> str:
    """Return the REST API's address for a central system's: same host and port, other scheme."""
    parts = urlsplit(url)
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"


class _Number:
    """Parses a number within limits, for argparse."""

    def __init__(self, least: float, most: float, kind: type[int] | type[float]) -> None:
        self._least, self._most, self._kind = least, most, kind

    def __call__(self, text: str) -> float:
        try:
            value = self._kind(text)
        except ValueError:
            value = self._kind(-1)
        if not self._least <= value <= self._most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a number from {self._least:g} to {self._most:g}"
            )
        return value


def _number(least: float, most: float) -> _Number:
    return _Number(least, most, float)


def _whole(least: int, most: int) -> _Number:
    return _Number(least, most, int)


class _Url:
    """Parses a URL with one of some schemes, for argparse."""

    def __init__(self, schemes: Sequence[str]) -> None:
        self._schemes = schemes

    def __call__(self, text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in self._schemes or not parts.hostname:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {' or '.join(self._schemes)} URL")
        return text


def _url(*schemes: str) -> _Url:
    return _Url(schemes)


def _prefix(text: str) -> str:
    # An id tag has 20 characters at most (OCPP 1.6 7.28); PREFIX-TAG-20000 has to fit.
    if not 1 <= len(text) <= 10 or not all(
        c.isascii() and (c.isalnum() or c in "-_") for c in text
    ):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a prefix: use 1 to 10 letters, digits, - or _"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
