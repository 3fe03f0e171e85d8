"""A token bucket that tells how long to wait; nothing is dropped."""

from collections.abc import Callable


class RateLimit:
    """Lets a burst of one second's worth through, then spaces out what follows.

    Args:
        per_second: How many may pass in a second.
        monotonic: The clock, in seconds.
    """

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        self._interval = 1 / per_second
        self._burst = 1.0
        self._monotonic = monotonic
        self._free_at = 0.0

    def delay(self) -> float:
        """Take one token and return the seconds to wait before going on; mostly 0."""
        now = self._monotonic()
        earliest = now - self._burst
        free_at = max(earliest, self._free_at)
        self._free_at = free_at + self._interval
        return self._free_at - now if self._free_at > now else 0.0
