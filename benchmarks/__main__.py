"""`make bench`: every server under the same load in one run, a table at the end.

python -m benchmarks
"""

import argparse
import asyncio
import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from benchmarks import commands, depth, report
from benchmarks import platform as voltmesh
from benchmarks.generator import GeneratorError, allow_open_files, most_connections
from benchmarks.platform import StorageError
from benchmarks.rounds import Rounds, fleet
from benchmarks.scale import Scale
from benchmarks.servers import serving
from deploy.process import ProcessError

CORES = 2
FOLDER = report.ROOT / "build" / "benchmarks"
TIMEOUT_S = 300
FAILURES = (
    StorageError,
    commands.CommandError,
    depth.DepthError,
    GeneratorError,
    ProcessError,
    OSError,
)


async def run(scale: Scale, folder: Path, tell: Callable[[str], None]) -> report.Results:
    """Measure everything.

    Raises:
        StorageError: What was answered is not what is stored.
        CommandError: A command did not complete, or its frame did not come exactly once.
        DepthError: A list or a single read failed.
        GeneratorError: An answer was wrong or did not come, or a charge point did not come back.
        ProcessError: A server did not start.
    """
    tell("starting voltmesh")
    async with voltmesh.running(folder) as platform:
        idle = most_connections(scale.idle)
        tell(f"opening {idle} idle connections")
        large = await fleet(platform, idle, tell)
        tell(f"the last of {large.storm.booted} has booted after {large.storm.last_s:.1f} s")
        tell(f"sending commands to {scale.connections} charge points")
        commanded = await commands.measure(platform, scale)
        tell(f"{commanded.throughput.rate:,.0f} commands/s")
        tell(f"connecting {scale.connections} charge points to each server")
        async with serving(platform, folder, scale) as servers:
            rounds = Rounds(servers, scale, tell)
            measured = await rounds.measure()
        (await voltmesh.stored(platform)).check(rounds.stored_meter_values)
    tell("starting two platforms, one with a year behind it")
    in_depth = await depth.measure(folder / "depth", scale, tell)
    return report.Results(measured, large, commanded, in_depth, rounds.stored_meter_values)


def main() -> int:
    """Run with what the command line says; 1 when something went wrong."""
    arguments = _parser().parse_args()
    scale = Scale(**{field.name: getattr(arguments, field.name) for field in fields(Scale)})
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    allow_open_files()
    try:
        results = asyncio.run(_limited(scale, arguments.folder))
    except FAILURES as error:
        print(f"The run failed: {error or 'it took too long'}", file=sys.stderr)
        return 1
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    print(f"\n{report.write(results, command, arguments.results)}\nWritten to {arguments.results}.")
    return 0


async def _limited(scale: Scale, folder: Path) -> report.Results:
    begin = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begin:4.0f} s  {text}", flush=True)

    return await asyncio.wait_for(run(scale, folder, tell), TIMEOUT_S)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    for field in fields(Scale):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, type=type(field.default), default=field.default)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
