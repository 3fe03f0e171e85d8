"""What processes cost, as the operating system counts it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil

KIB = 1024


@dataclass(frozen=True)
class Cpu:
    """CPU seconds (user and system) by process."""

    seconds: Mapping[str, float]

    def since(self, before: "Cpu") -> "Cpu":
        """Return what was spent since an earlier reading."""
        return Cpu({name: now - before.seconds[name] for name, now in self.seconds.items()})

    def us_per(self, messages: int) -> dict[str, float]:
        """Return microseconds per message, by process."""
        return {name: spent * 1e6 / messages for name, spent in self.seconds.items()}


@dataclass(frozen=True)
class Processes:
    """Processes by name, each with all that it started."""

    pids: Mapping[str, int] = field(default_factory=dict)

    def cpu(self) -> Cpu:
        """Read the CPU seconds so far."""
        return Cpu({name: _cpu_seconds(pid) for name, pid in self.pids.items()})


def resident_kib(pid: int) -> float:
    """Return the resident memory of one process in KiB."""
    return float(psutil.Process(pid).memory_info().rss) / KIB


def _cpu_seconds(pid: int) -> float:
    """Return the CPU of a process and its descendants, those that have ended included.

    A process carries the CPU of the children that have ended, so nothing is lost or counted twice
    when a PostgreSQL backend or worker comes and goes.
    """
    root = psutil.Process(pid)
    return sum(_own_and_ended(process) for process in (*root.children(recursive=True), root))


def _own_and_ended(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # ended since it was listed: its parent carries it now
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
