"""What a run found out, as a table for people."""

import math
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.commands import Commands
from benchmarks.depth import Depth, Read
from benchmarks.latency import Latency
from benchmarks.rounds import Fleet, Measured
from benchmarks.servers import OCPP, PICOWS, VOLTMESH, VOLTMESH_ENVOY, WEBSOCKETS

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results.md"
TITLES = {
    PICOWS: "picows + uvloop echo",
    WEBSOCKETS: "websockets + uvloop echo",
    OCPP: "`ocpp` package, nothing stored",
    VOLTMESH: "voltmesh",
    VOLTMESH_ENVOY: "voltmesh through Envoy",
}
_COST_HEAD = (
    "| Server | messages/s | CPU µs each | / picows | / `ocpp` | p50 ms | p99 ms | generator µs |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
)
_DEPTH_HEAD = (
    "| REST call | p50 ms, shallow | p50 ms, deep | ratio | p99 ms, shallow | p99 ms, deep |",
    "|---|--:|--:|--:|--:|--:|",
)
_LATENCY_HEAD = ("| REST call | calls | p50 ms | p99 ms |", "|---|--:|--:|--:|")


@dataclass(frozen=True)
class Figure:
    """A ratio that voltmesh is to reach."""

    name: str
    value: float
    bound: float
    is_floor: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value is within its bound."""
        return self.value >= self.bound if self.is_floor else self.value <= self.bound

    def row(self) -> str:
        """Return the line of the table."""
        sign = "≥" if self.is_floor else "≤"
        verdict = "reached" if self.reached else "**not reached**"
        return f"| {self.name} | {self.value:.2f} | {sign} {self.bound:g} | {verdict} |"


@dataclass(frozen=True)
class Results:
    """Everything that a run measured."""

    measured: Sequence[Measured]
    fleet: Fleet
    commands: Commands
    depth: Depth
    stored: int

    def of(self, server: str, action: str) -> Measured:
        """Return the row of a server and an action."""
        return next(m for m in self.measured if (m.server, m.action) == (server, action))

    def figures(self) -> list[Figure]:
        """Return the ratios that are to be reached."""
        durable = self.of(VOLTMESH, "MeterValues").total_us
        heartbeat = self.of(VOLTMESH, "Heartbeat").cpu_us["gateway"]
        echo = self.of(PICOWS, "MeterValues").total_us
        return [
            Figure(
                "CPU of a durable MeterValues / picows echo of its frame", _ratio(durable, echo), 18
            ),
            Figure(
                "durable MeterValues per CPU-second / those of the `ocpp` package, not durable",
                _ratio(self.of(OCPP, "MeterValues").total_us, durable),
                8,
                is_floor=True,
            ),
            Figure(
                "CPU of a Heartbeat in the gateway / websockets echo of its frame",
                _ratio(heartbeat, self.of(WEBSOCKETS, "Heartbeat").total_us),
                1.3,
            ),
            Figure("KiB of memory for each idle connection", self.fleet.idle_kib, 40),
            Figure(
                "p50 of a command by REST / p50 of a REST read",
                _ratio(self.commands.command.p50_ms, self.commands.read.p50_ms),
                4,
            ),
            Figure(
                f"seconds until the last of {self.fleet.storm.charge_points:,} charge points that "
                "reconnect at once has booted",
                self.fleet.storm.last_s,
                25,
            ),
            Figure(
                "p50 of a list or single read, the slowest, with "
                f"{self.depth.history.meter_values:,} meter values / on a nearly empty database",
                max(read.ratio for read in self.depth.reads),
                3,
            ),
        ]

    def markdown(self) -> str:
        """Return all tables."""
        sections = [
            *self._costs("MeterValues"),
            *self._costs("Heartbeat"),
            *self._commands(),
            *self._storm(),
            *self._depth(),
            *self._reached(),
        ]
        stored = f"All {self.stored:,} MeterValues that were answered are stored, ten samples each."
        return "\n".join([*sections, stored, ""])

    def _costs(self, action: str) -> list[str]:
        rows = [measured for measured in self.measured if measured.action == action]
        picows, ocpp = self.of(PICOWS, action).total_us, self.of(OCPP, action).total_us
        parts = {part: None for row in rows if len(row.cpu_us) > 1 for part in row.cpu_us}
        return [
            f"## {action}",
            "",
            *_COST_HEAD,
            *(_cost_row(row, picows, ocpp) for row in rows),
            "",
            f"| CPU µs each | {' | '.join(parts)} |",
            f"|---|{'--:|' * len(parts)}",
            *(_parts_row(row, list(parts)) for row in rows if len(row.cpu_us) > 1),
            "",
        ]

    def _commands(self) -> list[str]:
        many = self.commands.throughput
        everyone = (
            f"{many.clients} clients and {many.charge_points} charge points through one gateway: "
            f"{many.rate:,.0f} commands/s. All {many.completed:,} ended COMPLETED, and every frame "
            "came exactly once."
        )
        return [
            "## Commands",
            "",
            *_LATENCY_HEAD,
            _latency_row("`GET /v1/chargePoints/{id}`, one client", self.commands.read),
            _latency_row("command and its answer, one client", self.commands.command),
            _latency_row(f"the same, {many.clients} clients", many.latency),
            "",
            everyone,
            "",
            f"| CPU µs each | {' | '.join(many.cpu_us)} |",
            f"|---|{'--:|' * len(many.cpu_us)}",
            f"| command | {' | '.join(f'{spent:.1f}' for spent in many.cpu_us.values())} |",
            "",
        ]

    def _storm(self) -> list[str]:
        storm = self.fleet.storm
        row = (
            f"| {storm.charge_points:,} | {storm.booted:,} | {storm.failed_attempts:,} "
            f"| {storm.p50_s:.1f} | {storm.last_s:.1f} |"
        )
        return [
            "## Reconnect storm",
            "",
            "| charge points | booted again | failed attempts | p50 s | last s |",
            "|--:|--:|--:|--:|--:|",
            row,
            "",
        ]

    def _depth(self) -> list[str]:
        depth = self.depth
        history = (
            f"{depth.history.sessions:,} sessions with {depth.history.meter_values:,} meter values "
            f"of three samples, over {depth.history.months} months, generated in "
            f"{depth.generated_s:.0f} s, against a database with two pages of each list. Each call "
            f"went to both in turn, {depth.reads[0].deep.count:,} times."
        )
        return [
            "## Depth",
            "",
            *_DEPTH_HEAD,
            *map(_read_row, depth.reads),
            "",
            history,
            "",
        ]

    def _reached(self) -> list[str]:
        rows = [figure.row() for figure in self.figures()]
        return [
            "## Figures",
            "",
            "| What | measured | to reach | |",
            "|---|--:|--:|---|",
            *rows,
            "",
        ]


def write(results: Results, command: str, path: Path = RESULTS) -> str:
    """Write the report with where and when it was made, and return it."""
    report = f"{_heading(command)}\n{results.markdown()}"
    path.write_text(report, encoding="utf-8")
    return report


def _cost_row(row: Measured, picows: float, ocpp: float) -> str:
    outcome = row.outcome
    return (
        f"| {TITLES[row.server]} | {row.rate:,.0f} | {row.total_us:.1f} "
        f"| {_ratio(row.total_us, picows):.2f} | {_ratio(row.total_us, ocpp):.3f} "
        f"| {outcome.p50_ms:.1f} | {outcome.p99_ms:.1f} | {row.generator_us:.1f} |"
    )


def _latency_row(name: str, latency: Latency) -> str:
    return f"| {name} | {latency.count:,} | {latency.p50_ms:.2f} | {latency.p99_ms:.2f} |"


def _read_row(read: Read) -> str:
    shallow, deep = read.shallow, read.deep
    return (
        f"| {read.name} | {shallow.p50_ms:.2f} | {deep.p50_ms:.2f} | {read.ratio:.2f} "
        f"| {shallow.p99_ms:.2f} | {deep.p99_ms:.2f} |"
    )


def _parts_row(row: Measured, parts: Sequence[str]) -> str:
    return f"| {TITLES[row.server]} | {' | '.join(f'{row.cpu_us[part]:.1f}' for part in parts)} |"


def _ratio(one: float, other: float) -> float:
    """Divide; infinite where nothing was measured, because the clock counts in 10 ms."""
    return one / other if other else math.inf


def _heading(command: str) -> str:
    facts = {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Machine": f"{_processor()}, {len(os.sched_getaffinity(0))} of {psutil.cpu_count()} cores",
        "Kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Commit": _commit(),
        "Command": f"`{command}`",
        "Load average at the end": f"{psutil.getloadavg()[0]:.2f}",
    }
    lines = [f"* {name}: {value}" for name, value in facts.items()]
    return "\n".join(["# Results of the last run", "", *lines, ""])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks")
    return f"{commit}, with changes that are not committed" if changed else commit


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
