"""Who watches which charge point over one link."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import structlog

from csms.gateway.v1 import gateway_link_pb2 as pb
from gateway.frame_reader import FrameReader
from gateway.journal import Journal, Watch
from gateway.repair import Repairer

log = structlog.get_logger()

_MAX_WATCHES: Final = 100
_BATCH: Final = 50


@dataclass(frozen=True)
class _Watching:
    watch: Watch
    reader: FrameReader
    end: ExitStack


class Watches:
    """The watches of one link; they end with it.

    Args:
        journal: The frames.
        repairer: Tells what was repaired in a frame.
        wake: Called when there is something to send.
    """

    def __init__(self, journal: Journal, repairer: Repairer, wake: Callable[[], None]) -> None:
        self._journal, self._repairer, self._wake = journal, repairer, wake
        self._watching: dict[str, _Watching] = {}

    def begin(self, request: pb.WatchFrames) -> None:
        """Begin a watch; one that is already there goes on."""
        if request.watch_id in self._watching:
            return
        if len(self._watching) >= _MAX_WATCHES:
            log.error("too_many_watches", charge_point=request.charge_point_id)
            return
        end = ExitStack()
        watch = end.enter_context(self._journal.watched(request.charge_point_id, self._wake))
        self._watching[request.watch_id] = _Watching(watch, FrameReader(self._repairer), end)
        self._wake()

    def end(self, watch_id: str) -> None:
        """End a watch."""
        ended = self._watching.pop(watch_id, None)
        if ended is not None:
            ended.end.close()

    def close(self) -> None:
        """End all watches."""
        for watch_id in list(self._watching):
            self.end(watch_id)

    def next_batch(self) -> pb.WatchedFrames | None:
        """Return frames of one watch, each watch in its turn; None when there are none."""
        for watch_id, watching in list(self._watching.items()):
            entries, dropped = watching.watch.take(_BATCH)
            if entries:
                self._watching[watch_id] = self._watching.pop(watch_id)  # the others come first
                frames = [watching.reader.read(entry) for entry in entries]
                return pb.WatchedFrames(watch_id=watch_id, frames=frames, dropped_count=dropped)
        return None
