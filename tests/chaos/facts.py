"""What a charge point has said and what it was told: the charge point's side of the count."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Fact:
    """One call with a number that tells it from all others of its charge point.

    Attributes:
        sent: How often its frame was written.
        refused: How often it got a CALLERROR.
        answers: The payload of each CALLRESULT.
        answered_s: Seconds from its first frame to its first CALLRESULT.
    """

    action: str
    payload: Mapping[str, Any]
    sent: int = 0
    refused: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)
    answered_s: float = 0

    def __str__(self) -> str:
        return f"{self.action} {dict(self.payload)} (sent {self.sent}, refused {self.refused})"


@dataclass(eq=False)
class Transaction:
    """A transaction as its charge point lived it.

    Attributes:
        readings: What the meter showed in each value that was sent, `transactionData` included.
        doubts: The flags that its session has to have, others aside; by default it has none at all.
    """

    start: Fact
    readings: list[int] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    stop: Fact | None = None

    @property
    def id(self) -> int:
        """The transaction id that the charge point was given first."""
        return int(self.start.answers[0]["transactionId"])


@dataclass(eq=False)
class Ledger:
    """All that one charge point has said."""

    charge_point_id: str
    facts: list[Fact] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)

    def of(self, action: str) -> list[Fact]:
        """Return the facts of one action."""
        return [fact for fact in self.facts if fact.action == action]


class Traffic:
    """Counts the frames of all charge points, so that something can happen in their midst."""

    def __init__(self) -> None:
        self.frames = 0
        self._moved = asyncio.Event()

    def count(self) -> None:
        """Count a frame that was just written."""
        self.frames += 1
        self._moved.set()

    async def pass_by(self, frames: int, within_s: float) -> bool:
        """Wait until so many frames more are written; tell whether they were within the time."""
        goal = self.frames + frames
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.frames < goal:
                    self._moved.clear()
                    await self._moved.wait()
        return self.frames >= goal
