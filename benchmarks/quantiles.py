"""Medians and the like."""

from collections.abc import Sequence


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value that a share of the ordered values lies below; 0 without values."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
