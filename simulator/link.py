"""One connection to the central system, spoken by the `ocpp` package."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

import ocpp.v16
import structlog
from ocpp.exceptions import InternalError, OCPPError, UnknownCallErrorCodeError
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from simulator.outbox import Refused, Unanswered

log = structlog.get_logger()

_NOWHERE = logging.NullHandler()  # one for all, which a logger takes only once
_CALL, _CALL_RESULT, _CALL_ERROR = 2, 3, 4
_SHAPES: Mapping[int, tuple[type, ...]] = {
    _CALL: (str, str, dict),
    _CALL_RESULT: (str, dict),
    _CALL_ERROR: (str, str, str, dict),
}

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
        self._id = charge_point_id
        self._ocpp = ocpp.v16.ChargePoint(charge_point_id, socket, call_timeout_s, _silent_logger())
        self._ocpp.route_map = routes
        self._calls: set[asyncio.Task[Any]] = set()

    async def serve(self) -> None:
        """Read from the socket until it closes."""
        try:
            async for text in self._socket:
                await self._take(text)
        except ConnectionClosed:
            return
        finally:
            for call in self._calls:
                call.cancel()

    async def _take(self, text: str | bytes) -> None:
        """Let the `ocpp` package handle a frame, as far as it is one that it can stand."""
        try:
            frame = read_frame(text)
        except ValueError as error:
            log.warning("frame_ignored", charge_point=self._id, why=str(error))
            return
        try:
            await self._ocpp.route_message(text)
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            # Numbers that the validator cannot compute with, for one.
            log.warning("frame_refused", charge_point=self._id, why=type(error).__name__)
            if frame[0] == _CALL:
                answer = [_CALL_ERROR, frame[1], "FormationViolation", "", {}]
                await self._socket.send(json.dumps(answer))

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


def read_frame(text: str | bytes) -> list[Any]:
    """Return the members of a frame with the shape of OCPP-J 1.6 section 4.2.

    Raises:
        ValueError: It has another shape, and there may not even be an id to answer to.
    """
    try:
        frame = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None
    if not _is_frame(frame):
        raise ValueError("It is no CALL, CALLRESULT or CALLERROR.")
    return list(frame)


def _is_frame(frame: Any) -> bool:
    if not isinstance(frame, list) or not frame or not isinstance(frame[0], int):
        return False
    kind = _SHAPES.get(frame[0], ())
    pairs = zip(frame[1:], kind, strict=False)
    return len(frame) - 1 == len(kind) and all(isinstance(member, of) for member, of in pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON.")


def _silent_logger() -> logging.Logger:
    """Return a logger for the `ocpp` package, which writes whole frames, secrets and all."""
    logger = logging.getLogger("simulator.ocpp")
    logger.propagate = False
    logger.addHandler(_NOWHERE)
    return logger


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
