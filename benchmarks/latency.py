"""How long calls take: medians and the like."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """How long calls of one client took, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float


def latency(seconds: Sequence[float]) -> Latency:
    """Return what was measured of calls that took so many seconds each."""
    ordered = sorted(seconds)
    return Latency(len(ordered), quantile(ordered, 0.50) * 1000, quantile(ordered, 0.99) * 1000)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value that a share of the ordered values lies below; 0 without values."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
