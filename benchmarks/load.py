"""The load generator: charge points that send the next message when the last one is answered.

They also answer commands, at once, and can all lose their connection and come back. A process of
its own, so that its CPU stays apart. It reads one JSON object a line and answers each with one;
`benchmarks.generator` is the other side.

    python -m benchmarks.load URL CONNECTIONS PREFIX connect|boot|charge SECONDS
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import picows
import uvloop

from benchmarks import frames
from benchmarks.generator import Opening
from benchmarks.latency import quantile
from benchmarks.storm import AttemptError, storm

CONNECTING_AT_ONCE = 50
ANSWER_TIMEOUT_S = 30
NextFrame = Callable[[int], bytes]


class LoadError(Exception):
    """Says what a server did that it should not."""


class Round:
    """A span of load: counts what is sent and notes how long the answers take.

    Args:
        seconds: When to stop sending.
        most: How many messages may be sent in all.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._left = most
        self._in_flight = 0
        self._latencies = array("d")
        self._begin = self._last = time.perf_counter()
        self._end = self._begin + seconds
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, now: float) -> bool:
        """Tell whether another message may be sent, and count it."""
        if self._left <= 0 or now >= self._end:
            return False
        self._left -= 1
        self._in_flight += 1
        return True

    def answered(self, latency: float, now: float) -> None:
        """Note an answer."""
        self._latencies.append(latency)
        self._in_flight -= 1
        self._last = now

    def settle(self) -> None:
        """End the round when nothing is under way."""
        if self._in_flight == 0 and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: LoadError) -> None:
        """End the round with an error."""
        if not self.done.done():
            self.done.set_exception(error)

    def outcome(self) -> dict[str, float]:
        """Return the count, the seconds until the last answer, and the latencies in ms."""
        ordered = sorted(self._latencies)
        return {
            "answered": len(ordered),
            "seconds": self._last - self._begin,
            "p50_ms": quantile(ordered, 0.50) * 1000,
            "p99_ms": quantile(ordered, 0.99) * 1000,
        }


class ChargePoint(picows.WSListener):
    """One connection.

    Args:
        answers: How a good answer begins: `[3` from a central system, `[2` from an echo.
    """

    def __init__(self, answers: bytes) -> None:
        self._answers = answers
        self._numbers = itertools.count(1)
        self._expected = b""
        self._round: Round | None = None
        self._answer: asyncio.Future[Any] | None = None
        self.commands = 0
        self.meter_values = frames.MeterValues(1, datetime.now(UTC))

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Keep the transport (picows)."""
        self._transport = transport

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Fail what waits: the server has closed (picows)."""
        self._fail(f"The server closed a connection: {transport.close_handshake}.")

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Take an answer and send the next message (picows)."""
        if frame.msg_type != picows.WSMsgType.TEXT:
            if frame.msg_type == picows.WSMsgType.CLOSE:
                transport.disconnect()
            return
        text = frame.get_payload_as_bytes()
        if self._answers == b"[3" and text.startswith(b"[2"):
            self._obey(text)
        elif not text.startswith(self._expected):
            self._fail(f"Expected {self._expected!r}, the server said {text[:300]!r}.")
        elif self._round is None:
            self._settle(text)
        else:
            now = time.perf_counter()
            self._round.answered(now - self._sent, now)
            self.send_next()

    def drop(self) -> None:
        """Lose the connection without a word of goodbye."""
        self._transport.disconnect(graceful=False)

    async def call(self, action: str, payload: dict[str, object]) -> Any:
        """Return the payload of the answer to a CALL outside of a round."""
        self._round, self._answer = None, asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        self._send(number, frames.call(number, action, payload))
        return await asyncio.wait_for(self._answer, ANSWER_TIMEOUT_S)

    def begin(self, round_: Round, next_frame: NextFrame) -> None:
        """Take part in a round."""
        self._round, self._next_frame = round_, next_frame
        self.send_next()

    def send_next(self) -> None:
        """Send the next message, unless the round is over."""
        assert self._round is not None
        now = time.perf_counter()
        if not self._round.take(now):
            self._round.settle()
            return
        self._sent = now
        number = next(self._numbers)
        self._send(number, self._next_frame(number))

    def _send(self, number: int, frame: bytes) -> None:
        self._expected = b'%b,"%d"' % (self._answers, number)
        self._transport.send(picows.WSMsgType.TEXT, frame)

    def _obey(self, text: bytes) -> None:
        """Answer a GetLocalListVersion with how many commands have come on this connection."""
        self.commands += 1
        answer = frames.list_version(json.loads(text)[1], self.commands)
        self._transport.send(picows.WSMsgType.TEXT, answer)

    def _settle(self, text: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(json.loads(text)[2])

    def _fail(self, reason: str) -> None:
        error = LoadError(reason)
        if self._round is not None:
            self._round.fail(error)
        elif self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


async def connect(url: str, count: int, opening: Opening, seconds: float) -> list[ChargePoint]:
    """Open connections: all but those to an echo boot, those that charge start a transaction.

    Begins no other one after so many seconds; those that are open then are numbered from 0.
    """
    end = time.monotonic() + seconds
    room = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def open_one(number: int) -> ChargePoint | None:
        async with room:
            while time.monotonic() < end:
                try:
                    return await _open(f"{url}-{number}", opening)
                except picows.WSInvalidStatusError:  # told to try again, as a charge point does
                    await asyncio.sleep(1)
        return None

    opened = await asyncio.gather(*(open_one(number) for number in range(count)))
    return [charge_point for charge_point in opened if charge_point is not None]


async def _open(url: str, opening: Opening) -> ChargePoint:
    charge_point = await _connect(url, b"[2" if opening == "connect" else b"[3")
    if opening != "connect":
        await _boot(charge_point)
    if opening == "charge":
        await _start_transaction(charge_point)
    return charge_point


async def _open_again(url: str) -> ChargePoint:
    try:
        charge_point = await _connect(url, b"[3")
        await _boot(charge_point)
    except (LoadError, OSError, picows.WSError) as error:
        raise AttemptError from error
    return charge_point


async def _connect(url: str, answers: bytes) -> ChargePoint:
    _, charge_point = await picows.ws_connect(
        lambda: ChargePoint(answers),
        url,
        extra_headers={"Sec-WebSocket-Protocol": "ocpp1.6"},
        websocket_handshake_timeout=ANSWER_TIMEOUT_S,
    )
    if not isinstance(charge_point, ChargePoint):
        raise LoadError("A connection ended while it was being opened.")
    return charge_point


async def _boot(charge_point: ChargePoint) -> None:
    station: dict[str, object] = {"chargePointVendor": "voltmesh", "chargePointModel": "load"}
    answer = await charge_point.call("BootNotification", station)
    if answer.get("status", "Accepted") != "Accepted":
        raise LoadError(f"A BootNotification was answered with {answer!r}.")


async def _start_transaction(charge_point: ChargePoint) -> None:
    now = datetime.now(UTC)
    start = {
        "connectorId": 1,
        "idTag": "BENCH",
        "meterStart": 0,
        "timestamp": now.isoformat(timespec="milliseconds"),
    }
    answer = await charge_point.call("StartTransaction", start)
    charge_point.meter_values = frames.MeterValues(answer["transactionId"], now)


async def run_round(
    charge_points: Sequence[ChargePoint], action: str, seconds: float, most: int
) -> dict[str, float]:
    """Send messages of one action from all connections and return the outcome.

    Raises:
        LoadError: A server closed a connection, or answered with anything but a CALLRESULT.
        TimeoutError: The last answers did not come.
    """
    round_ = Round(seconds, most)
    for charge_point in charge_points:
        meter_values = charge_point.meter_values.frame
        frame = meter_values if action == "MeterValues" else frames.heartbeat
        charge_point.begin(round_, frame)
    await asyncio.wait_for(round_.done, seconds + ANSWER_TIMEOUT_S)
    return round_.outcome()


async def serve(
    read: Callable[[], Awaitable[str]], url: str, charge_points: Sequence[ChargePoint]
) -> None:
    """Do what the lines say until there are no more."""
    _tell({"connected": len(charge_points)})
    while line := await read():
        order = json.loads(line)
        match order.pop("do"):
            case "round":
                _tell(await run_round(charge_points, **order))
            case "count commands":
                _tell({"commands": [charge_point.commands for charge_point in charge_points]})
            case "storm":
                urls = [f"{url}-{number}" for number in range(len(charge_points))]
                outcome, charge_points = await storm(charge_points, urls, _open_again, **order)
                _tell(outcome)


def _tell(answer: Mapping[str, object]) -> None:
    print(json.dumps(answer), flush=True)


async def main() -> None:
    """Connect and obey."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("connections", type=int)
    parser.add_argument("prefix")
    parser.add_argument("opening", choices=get_args(Opening))
    parser.add_argument("seconds", type=float)
    arguments = parser.parse_args()
    url = f"{arguments.url}/{arguments.prefix}"
    charge_points = await connect(url, arguments.connections, arguments.opening, arguments.seconds)
    await serve(lambda: asyncio.to_thread(sys.stdin.readline), url, charge_points)


if __name__ == "__main__":
    uvloop.run(main())
