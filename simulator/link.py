"""One connection to the central system, spoken by the `ocpp` package."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import ocpp.v16
from ocpp.exceptions import InternalError, OCPPError, UnknownCallErrorCodeError
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from simulator.outbox import Refused, Unanswered

Routes = Mapping[str, Mapping[str, Callable[..., Any]]]
"""By action: the functions that the `ocpp` package calls to answer, and after the answer."""


class CentralSystem(Protocol):
    """Answers calls."""

    async def call(self, action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Send a call and return the answer, both with snake_case members.

        Raises:
            Unanswered: No usable answer came.
            Refused: A CALLERROR came.
        """


class Link:
    """A central system at the other end of an open socket.

    Args:
        charge_point_id: The identity of the charge point.
        socket: The open connection.
        routes: What answers the calls of the central system.
        call_timeout_s: How long to wait for an answer.
    """

    def __init__(
        self,
        charge_point_id: str,
        socket: ClientConnection,
        routes: Routes,
        call_timeout_s: float,
    ) -> None:
        self._socket = socket
        self._ocpp = ocpp.v16.ChargePoint(charge_point_id, socket, call_timeout_s)
        self._ocpp.route_map = routes
        self._calls: set[asyncio.Task[Any]] = set()

    async def serve(self) -> None:
        """Read from the socket until it closes."""
        try:
            await self._ocpp.start()
        except ConnectionClosed:
            return
        finally:
            for call in self._calls:
                call.cancel()

    async def close(self) -> None:
        """Close the socket."""
        await self._socket.close()

    async def call(self, action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Send a call and return the answer, both with snake_case members.

        Raises:
            Unanswered: The line went down, it took too long, or InternalError came.
            Refused: Another CALLERROR came, or an answer that is none.
        """
        request = getattr(ocpp.v16.call, action)(**payload)
        task = asyncio.create_task(self._ocpp.call(request, suppress=False))
        self._calls.add(task)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            self._calls.discard(task)
        return _outcome(action, task)


def _outcome(action: str, task: asyncio.Task[Any]) -> dict[str, Any]:
    if task.cancelled():
        raise Unanswered(f"The connection closed before {action} was answered.")
    try:
        return dict(vars(task.result()))
    except (TimeoutError, ConnectionClosed) as error:
        raise Unanswered(f"{action}: {type(error).__name__}") from error
    except InternalError as error:
        raise Unanswered(f"{action}: InternalError {error.description}") from error
    except (OCPPError, UnknownCallErrorCodeError) as error:
        raise Refused(f"{action}: {error}") from error
