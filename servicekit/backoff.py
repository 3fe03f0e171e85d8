"""Waiting before a retry: exponential with full jitter, so that a fleet does not retry in step."""

import random


class Backoff:
    """The delays before successive attempts.

    Args:
        first: Upper bound of the first delay, in seconds.
        most: Upper bound of every delay, in seconds.
    """

    def __init__(self, first: float = 0.5, most: float = 30.0) -> None:
        self._first, self._most = first, most
        self._bound = first
        self._random = random.SystemRandom()

    def next_delay(self) -> float:
        """Return a delay in seconds, uniform between 0 and a bound that doubles."""
        delay = self._random.uniform(0, self._bound)
        self._bound = min(self._bound * 2, self._most)
        return delay

    def reset(self) -> None:
        """Begin again after a success."""
        self._bound = self._first
