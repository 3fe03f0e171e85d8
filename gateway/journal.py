"""The last frames of each charge point, kept as they passed, read only when somebody watches."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, TypeAlias

RECEIVED: Final = True
SENT: Final = False
"""Whether a frame came from the charge point."""

_FRAME_OVERHEAD_BYTES: Final = 200
_MAX_BEHIND: Final = 500


Entry: TypeAlias = tuple[datetime, bool, str, str]
"""One frame on a charge point's wire: its time, `RECEIVED` or `SENT`, its text, its connection."""


class Watch:
    """What one watcher has yet to see: the frames that were kept, then each as it passes.

    Args:
        kept: The frames that passed before.
        wake: Called when there is something to see.
    """

    def __init__(self, kept: deque[Entry], wake: Callable[[], None]) -> None:
        self._entries, self._wake = deque(kept), wake
        self._most = max(_MAX_BEHIND, len(kept))
        self._dropped = 0

    def add(self, entry: Entry) -> None:
        """Take a frame; the oldest makes room when the watcher is too slow."""
        if len(self._entries) >= self._most:
            self._entries.popleft()
            self._dropped += 1
        self._entries.append(entry)
        self._wake()

    def take(self, most: int) -> tuple[list[Entry], int]:
        """Return the next frames, and how many were left out before them."""
        dropped, self._dropped = self._dropped, 0
        count = min(most, len(self._entries))
        return [self._entries.popleft() for _ in range(count)], dropped


class Tape:
    """The last frames of one charge point, of all its connections.

    Args:
        max_frames: Most frames that are kept.
        max_bytes: Most memory for them; a frame that takes more by itself is not kept.
    """

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames, self._max_bytes = max_frames, max_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._watches: list[Watch] = []
        self.users = 0

    def record(self, entry: Entry) -> None:
        """Keep a frame and let the oldest go."""
        entries = self._entries
        entries.append(entry)
        size = self._bytes + _size(entry)
        while size > self._max_bytes or len(entries) > self._max_frames:
            size -= _size(entries.popleft())
        self._bytes = size
        for watch in self._watches:
            watch.add(entry)

    @contextmanager
    def watched(self, wake: Callable[[], None]) -> Iterator[Watch]:
        """Watch for the length of the block."""
        watch = Watch(self._entries, wake)
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)


class Journal:
    """The tapes of the charge points that are connected or watched.

    Args:
        max_frames: Most frames that are kept of a charge point.
        max_bytes: Most memory for the frames of a charge point.
    """

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames, self._max_bytes = max_frames, max_bytes
        self._tapes: dict[str, Tape] = {}

    @contextmanager
    def tape(self, charge_point_id: str) -> Iterator[Tape]:
        """Use a charge point's tape for the length of the block; the last user takes it away."""
        tape = self._tapes.get(charge_point_id)
        if tape is None:
            tape = self._tapes[charge_point_id] = Tape(self._max_frames, self._max_bytes)
        tape.users += 1
        try:
            yield tape
        finally:
            tape.users -= 1
            if not tape.users:
                del self._tapes[charge_point_id]

    @contextmanager
    def watched(self, charge_point_id: str, wake: Callable[[], None]) -> Iterator[Watch]:
        """Watch a charge point, connected or not, for the length of the block."""
        with self.tape(charge_point_id) as tape, tape.watched(wake) as watch:
            yield watch


def _size(entry: Entry) -> int:
    _, _, text, _ = entry
    return len(text) + _FRAME_OVERHEAD_BYTES
