"""A charge point of the `ocpp` package that answers the central system's calls from a table."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ocpp.exceptions import OCPPError
from ocpp.messages import Call, unpack, validate_payload
from ocpp.v16 import ChargePoint
from websockets.asyncio.client import ClientConnection, connect

from tests.support.charge_points import (
    ANSWER_TIMEOUT_S,
    CLOSE_TIMEOUT_S,
    OCPP_1_6,
    socket_url,
)

Answers = Mapping[str, Mapping[str, Any] | None]
"""The payload of the answer by action; None: no answer is given."""


@dataclass
class AnsweringSocket:
    """A socket between an `ocpp` charge point and the platform that keeps the calls for itself.

    Attributes:
        asked: The calls that came, action and payload as they were parsed.
    """

    socket: ClientConnection
    answers: dict[str, Mapping[str, Any] | None]
    asked: list[tuple[str, Any]] = field(default_factory=list)

    async def recv(self) -> str:
        """Return the next answer from the platform; calls that come before are answered."""
        while True:
            text = await self.socket.recv()
            assert isinstance(text, str)
            message = unpack(text)
            if not isinstance(message, Call):
                return text
            await self._take(message)

    async def send(self, text: str) -> None:
        """Send what the charge point says of its own."""
        await self.socket.send(text)

    async def _take(self, message: Any) -> None:
        self.asked.append((message.action, message.payload))
        answer = await self._answer_to(message)
        if answer is not None:
            await self.socket.send(json.dumps(answer))

    async def _answer_to(self, message: Any) -> list[Any] | None:
        """Return the frame of the answer; what is against OCPP's schemas gets a CALLERROR."""
        try:
            await validate_payload(message, ocpp_version="1.6")
        except OCPPError as broken:
            return [4, message.unique_id, "FormationViolation", str(broken)[:255], {}]
        if message.action not in self.answers:
            return [4, message.unique_id, "NotImplemented", "", {}]
        payload = self.answers[message.action]
        return None if payload is None else [3, message.unique_id, payload]


@dataclass(frozen=True)
class Commanded:
    """A connected charge point and what it was asked."""

    station: ChargePoint
    socket: AnsweringSocket

    @property
    def asked(self) -> list[tuple[str, Any]]:
        """The calls of the central system, oldest first."""
        return self.socket.asked

    async def call(self, request: Any) -> Any:
        """Send a call of the `ocpp` package and return its answer."""
        return await self.station.call(request)

    def hang_up(self) -> None:
        """Drop the line without a closing handshake."""
        self.socket.socket.transport.abort()


@asynccontextmanager
async def commanded(ocpp_url: str, identity: str, answers: Answers) -> AsyncIterator[Commanded]:
    """Connect a charge point that answers from a table, for the length of the block."""
    async with connect(
        socket_url(ocpp_url, identity),
        subprotocols=[OCPP_1_6],
        proxy=None,
        close_timeout=CLOSE_TIMEOUT_S,
    ) as socket:
        answering = AnsweringSocket(socket, dict(answers))
        station = ChargePoint(identity, answering, response_timeout=ANSWER_TIMEOUT_S)
        reading = asyncio.create_task(station.start())
        try:
            yield Commanded(station, answering)
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await reading
