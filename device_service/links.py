"""The links of this replica: which gateways have one, what they hold, what is under way on them.

Decides who is the newest and how much may wait; knows no transport, no database and no time.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from device_service.domain.frames import Frame
from device_service.ports import Delivery, Lease
from servicekit.errors import ErrorKind, PlatformError, QueueFull

MAX_QUEUED = 2000
"""Messages that may wait for a gateway which does not read; one more, and the link is dropped."""


class LinkReplaced(PlatformError):
    """A newer link of the gateway has taken the place of this one."""

    kind, reason = ErrorKind.ABORTED, "LINK_REPLACED"


@dataclass(frozen=True, slots=True)
class ResultStored:
    """Confirms that a result is stored."""

    command_id: str


@dataclass(frozen=True, slots=True)
class Beat:
    """Tells that this side lives."""

    in_flight_count: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Asks the gateway to link elsewhere."""

    grace_period: timedelta


@dataclass(frozen=True, slots=True)
class BeginWatch:
    """Asks for the frames of a charge point."""

    watch_id: str
    charge_point_id: str


@dataclass(frozen=True, slots=True)
class EndWatch:
    """Tells that nobody watches any more."""

    watch_id: str


Outgoing = Delivery | ResultStored | Beat | Drain | BeginWatch | EndWatch


class Watcher(Protocol):
    """Is shown frames; keeps no more than it can."""

    def add(self, frames: Sequence[Frame], dropped_count: int) -> None:
        """Take frames, before which others were left out."""

    def end(self) -> None:
        """Take note that nothing more comes."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A connection of a charge point at a linked gateway; see the port's `Lease`."""

    charge_point_id: str
    connection_id: str
    generation: int


class Link:
    """One gateway's link; made by `Links.open`.

    Args:
        gateway_id: Identifies the gateway for people.
        instance_id: Identifies the gateway process.
        epoch: Numbers the links of this gateway.
        unanswered: The commands that the gateway has taken already.
        max_in_flight: Commands that may be under way.
        notify: Called when there is something to send, and when the link has ended.
    """

    def __init__(
        self,
        gateway_id: str,
        instance_id: str,
        epoch: int,
        *,
        unanswered: Collection[str] = (),
        max_in_flight: int = 1000,
        notify: Callable[[], None],
    ) -> None:
        self.gateway_id, self.instance_id, self.epoch = gateway_id, instance_id, epoch
        self.attachments: dict[str, Attachment] = {}
        self.watches: dict[str, Watcher] = {}
        self.error: PlatformError | None = None
        self.ended = self.draining = self.paused = False
        self._max_in_flight, self._notify = max_in_flight, notify
        self._in_flight = dict.fromkeys(unanswered, "")  # command id -> charge point id
        self._busy: set[str] = set()
        self._outbox: deque[Outgoing] = deque()

    @property
    def in_flight_count(self) -> int:
        """How many commands are under way."""
        return len(self._in_flight)

    @property
    def in_flight_ids(self) -> Collection[str]:
        """The commands that are under way."""
        return frozenset(self._in_flight)

    @property
    def is_full(self) -> bool:
        """Whether so many commands are under way that no other may be claimed."""
        return len(self._in_flight) >= self._max_in_flight

    def may_deliver(self, charge_point_id: str) -> bool:
        """Tell whether a command may be claimed for a charge point now."""
        if self.ended or self.draining or self.paused or self.is_full:
            return False
        return charge_point_id not in self._busy

    def deliver(self, delivery: Delivery) -> None:
        """Send a command, which is then under way."""
        self._in_flight[delivery.command_id] = delivery.charge_point_id
        self._busy.add(delivery.charge_point_id)
        self.send(delivery)

    def confirm(self, command_id: str) -> None:
        """Tell the gateway that a result is stored; the command is no longer under way."""
        self._busy.discard(self._in_flight.pop(command_id, ""))
        self.send(ResultStored(command_id))

    def show(self, watch_id: str, frames: Sequence[Frame], dropped_count: int) -> None:
        """Hand frames to their watcher; it may have gone meanwhile."""
        watcher = self.watches.get(watch_id)
        if watcher is not None:
            watcher.add(frames, dropped_count)

    def drain(self, grace: timedelta) -> None:
        """Begin no more commands and ask the gateway to link elsewhere."""
        self.draining = True
        self.send(Drain(grace))

    def send(self, message: Outgoing) -> None:
        """Queue a message; a link whose queue is full ends, for its gateway does not read."""
        if self.ended:
            return
        if len(self._outbox) >= MAX_QUEUED:
            self.end(QueueFull("The gateway does not read its link.", gateway=self.gateway_id))
            return
        self._outbox.append(message)
        self._notify()

    def next_message(self) -> Outgoing | None:
        """Take the message that has waited longest."""
        return self._outbox.popleft() if self._outbox else None

    def end(self, error: PlatformError | None = None) -> None:
        """End the link; the first error is the one that the gateway is told."""
        if not self.ended:
            self.ended, self.error = True, error
            for watcher in self.watches.values():
                watcher.end()
            self._notify()

    def lease(self, attachment: Attachment) -> Lease:
        """Return what the registry is told about an attachment."""
        return Lease(attachment.charge_point_id, attachment.generation, self.epoch)


class Links:
    """Which link holds which charge point."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}
        self._holders: dict[str, Link] = {}

    def __len__(self) -> int:
        return len(self._links)

    def all(self) -> Sequence[Link]:
        """Return the links that have not ended."""
        return list(self._links.values())

    def open(self, link: Link) -> Sequence[Lease]:
        """Take a link; an older one of the same gateway ends. Return what that one held.

        Raises:
            LinkReplaced: There is a newer one already.
        """
        older = self._links.get(link.gateway_id)
        if older is not None and older.epoch > link.epoch:
            raise _replaced(link)
        left = self._end(older) if older else []
        self._links[link.gateway_id] = link
        return left

    def replace(self, gateway_id: str, epoch: int) -> Sequence[Lease]:
        """End the link of a gateway that has one with a later epoch; return what it held."""
        link = self._links.get(gateway_id)
        return self._end(link) if link is not None and link.epoch < epoch else []

    def close(self, link: Link) -> Sequence[Lease]:
        """Forget a link; return what it held."""
        link.end()
        if self._links.get(link.gateway_id) is link:
            del self._links[link.gateway_id]
        return [self._drop(link, item) for item in list(link.attachments.values())]

    def attach(self, link: Link, attachment: Attachment) -> bool:
        """Take an attachment; false when the link has ended or a newer connection is held."""
        key = attachment.charge_point_id
        holder = self._holders.get(key)
        if link.ended or (holder is not None and _newer(holder, link, attachment)):
            return False
        if holder is not None:
            holder.attachments.pop(key)
        self._holders[key] = link
        link.attachments[key] = attachment
        return True

    def detach(self, link: Link, charge_point_id: str, connection_id: str) -> Lease | None:
        """Drop an attachment if it is for this connection; return its lease."""
        attachment = link.attachments.get(charge_point_id)
        if attachment is None or attachment.connection_id != connection_id:
            return None
        return self._drop(link, attachment)

    def fence(self, lease: Lease) -> None:
        """Drop an attachment that another replica outdoes."""
        found = self.find(lease.charge_point_id)
        if found is not None and found[0].lease(found[1]) == lease:
            self._drop(*found)

    def find(self, charge_point_id: str) -> tuple[Link, Attachment] | None:
        """Return the link that holds a charge point, and the connection."""
        link = self._holders.get(charge_point_id)
        return (link, link.attachments[charge_point_id]) if link is not None else None

    def held(self) -> Sequence[str]:
        """Return the charge points that are held here."""
        return list(self._holders)

    def leases(self) -> Sequence[Lease]:
        """Return what this replica holds."""
        return [link.lease(link.attachments[key]) for key, link in self._holders.items()]

    def _end(self, link: Link) -> Sequence[Lease]:
        link.end(_replaced(link))
        return self.close(link)

    def _drop(self, link: Link, attachment: Attachment) -> Lease:
        key = attachment.charge_point_id
        del link.attachments[key]
        del self._holders[key]
        return link.lease(attachment)


def _newer(holder: Link, link: Link, attachment: Attachment) -> bool:
    known = holder.attachments[attachment.charge_point_id]
    return (known.generation, holder.epoch) > (attachment.generation, link.epoch)


def _replaced(link: Link) -> LinkReplaced:
    return LinkReplaced(
        "A newer link of this gateway has taken the place of this one.",
        gateway=link.gateway_id,
        epoch=link.epoch,
    )
