"""Charge points for tests: the `ocpp` package as an independent one, and raw frames."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from ocpp.v16 import ChargePoint, call, call_result
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

OCPP_1_6 = Subprotocol("ocpp1.6")
ANSWER_TIMEOUT_S = 40
# A proxy keeps the line for a second after the closing handshake; raw frames do not wait for that.
CLOSE_TIMEOUT_S = 0.1
_numbers = itertools.count(1)


def ocpp_now(offset: timedelta = timedelta(0)) -> str:
    """Return the time of day as OCPP writes it."""
    return (datetime.now(UTC) + offset).strftime("%Y-%m-%dT%H:%M:%SZ")


def socket_url(ocpp_url: str, charge_point_id: str) -> str:
    """Return the URL with which a charge point connects."""
    return f"{ocpp_url}/{quote(charge_point_id, safe='')}"


@asynccontextmanager
async def charge_point(ocpp_url: str, charge_point_id: str) -> AsyncIterator[ChargePoint]:
    """Connect a charge point of the `ocpp` package for the length of the block."""
    url = socket_url(ocpp_url, charge_point_id)
    async with connect(url, subprotocols=[OCPP_1_6], proxy=None) as socket:
        station = ChargePoint(charge_point_id, socket, response_timeout=ANSWER_TIMEOUT_S)
        reading = asyncio.create_task(station.start())
        try:
            yield station
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await reading


async def boot(station: ChargePoint) -> call_result.BootNotification:
    """Boot a charge point."""
    return await station.call(
        call.BootNotification(charge_point_vendor="Acme", charge_point_model="Wall 11")
    )


class RawChargePoint:
    """A charge point that sends and reads texts."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, text: str) -> None:
        """Send one text frame."""
        await self.socket.send(text)

    async def receive(self) -> Any:
        """Return the next frame, parsed."""
        return json.loads(await asyncio.wait_for(self.socket.recv(), ANSWER_TIMEOUT_S))

    async def call(self, action: str, payload: dict[str, Any]) -> Any:
        """Send a CALL and return its answer, parsed."""
        message_id = str(next(_numbers))
        await self.send(json.dumps([2, message_id, action, payload]))
        answer = await self.receive()
        assert answer[1] == message_id
        return answer

    async def boot(self) -> Any:
        """Boot."""
        return await self.call(
            "BootNotification", {"chargePointVendor": "Acme", "chargePointModel": "Wall 11"}
        )


@asynccontextmanager
async def raw_charge_point(ocpp_url: str, charge_point_id: str) -> AsyncIterator[RawChargePoint]:
    """Connect a raw charge point for the length of the block."""
    url = socket_url(ocpp_url, charge_point_id)
    async with connect(
        url,
        subprotocols=[OCPP_1_6],
        proxy=None,
        max_size=None,
        close_timeout=CLOSE_TIMEOUT_S,
    ) as socket:
        yield RawChargePoint(socket)
