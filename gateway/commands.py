"""The commands that this gateway has taken, until their results are stored."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

import structlog

from csms.gateway.v1.gateway_link_pb2 import (
    CommandResult,
    CommandSent,
    ConnectRequest,
    DeliverCommand,
)
from gateway.connections import Connection, Connections
from gateway.outcomes import (
    ConnectionLost,
    ConnectionReplaced,
    Outcomes,
    TooManyPendingCommands,
)
from servicekit.errors import InternalError, PlatformError
from servicekit.telemetry import SpanKind, Tracing
from servicekit.timestamps import to_timestamp

log = structlog.get_logger()

Tell = Callable[[ConnectRequest], None]
"""Sends a message to device_service, now or never."""

_LAST_RESULTS_S = 1.0
_CROSSING_S = 0.2
"""How long commands may still come that were sent before device_service knew of the end."""


class Commands:
    """Delivers each command once and keeps its result until device_service has stored it.

    Args:
        connections: The sockets.
        outcomes: Makes results.
        tracing: The spans of the process.
        max_kept: Most commands under way or not confirmed; one more is refused.
    """

    def __init__(
        self, connections: Connections, outcomes: Outcomes, tracing: Tracing, max_kept: int = 2000
    ) -> None:
        self._connections, self._outcomes = connections, outcomes
        self._tracing, self._max_kept = tracing, max_kept
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._results: dict[str, CommandResult] = {}
        self._confirmed = asyncio.Event()

    @property
    def unanswered_ids(self) -> list[str]:
        """The commands whose results are not confirmed."""
        return [*self._under_way, *self._results]

    @property
    def in_flight_count(self) -> int:
        """How many commands are under way."""
        return len(self._under_way)

    @property
    def results(self) -> list[CommandResult]:
        """The results that are not confirmed, oldest first."""
        return list(self._results.values())

    def take(self, command: DeliverCommand, tell: Tell) -> None:
        """Deliver a command in the background; one that was taken before is not sent again."""
        command_id = command.command_id
        if command_id in self._results:
            tell(ConnectRequest(command_result=self._results[command_id]))
        elif command_id not in self._under_way:
            self._begin(command, tell)

    def forget(self, command_id: str) -> None:
        """Let a result go: it is stored."""
        self._results.pop(command_id, None)
        self._confirmed.set()

    async def settle(self) -> None:
        """Give commands whose sockets have closed a moment to end and to be confirmed.

        One that comes while the last sockets close ends unsent; untold, it would count as lost.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_RESULTS_S):
                await asyncio.sleep(_CROSSING_S)
                while self._under_way or self._results:
                    self._confirmed.clear()
                    await self._confirmed.wait()

    def _begin(self, command: DeliverCommand, tell: Tell) -> None:
        if len(self._under_way) + len(self._results) >= self._max_kept:
            full = TooManyPendingCommands("Too many commands are under way at the gateway.")
            refused = self._outcomes.failed(command.command_id, full, sent=False)
            tell(ConnectRequest(command_result=refused))
            return
        task = asyncio.create_task(self._deliver(command, tell))
        self._under_way[command.command_id] = task

    async def _deliver(self, command: DeliverCommand, tell: Tell) -> None:
        command_id, sent_times = command.command_id, list[datetime]()

        def on_sent(time: datetime) -> None:
            sent_times.append(time)
            sent = CommandSent(command_id=command_id, send_time=to_timestamp(time))
            tell(ConnectRequest(command_sent=sent))

        try:
            result = await self._outcome(command, on_sent)
        except Exception:
            log.exception("command_failed", command=command_id)
            defect = InternalError("An internal error occurred; it has been logged.")
            result = self._outcomes.failed(command_id, defect, sent=bool(sent_times))
        del self._under_way[command_id]
        self._results[command_id] = result
        tell(ConnectRequest(command_result=result))

    async def _outcome(
        self, command: DeliverCommand, on_sent: Callable[[datetime], None]
    ) -> CommandResult:
        try:
            socket = self._current(command).socket
            action = self._outcomes.action_of(command)
        except PlatformError as error:
            return self._outcomes.failed(command.command_id, error, sent=False)
        with self._tracing.span(
            action,
            parent=command.traceparent,
            kind=SpanKind.CLIENT,
            charge_point=command.charge_point_id,
            command=command.command_id,
        ):
            return await socket.deliver(command, on_sent)

    def _current(self, command: DeliverCommand) -> Connection:
        connection = self._connections.newest(command.charge_point_id)
        if connection is None:
            raise ConnectionLost("The charge point's connection has ended.")
        if connection.opened.connection_id != command.connection_id:
            raise ConnectionReplaced("The charge point has a newer connection.")
        return connection
