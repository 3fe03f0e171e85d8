"""From a charge point's CALL to its answer: validate, repair, translate, ask the service."""

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16.charge_point_call_pb2 import ChargePointCall
from gateway.clock import ocpp_time
from gateway.ocppj.actions import refusal_of
from gateway.ocppj.frames import Call, ErrorCode, Malformed
from gateway.repair import Repaired, Repairer
from gateway.routing import ROUTES, Fallbacks, Route, Service
from gateway.text import storable
from gateway.upstream import NotAnswered, Origin, Upstreams
from ocpp16.codec import Codec, CodecError
from servicekit.clock import Clock
from servicekit.errors import QueueFull
from servicekit.telemetry import SpanKind, Tracing

log = structlog.get_logger()

_EVIDENCE = frozenset({"StartTransaction", "StopTransaction"})
"""Money hangs on these: their frames are kept byte for byte, repaired or not."""
_SAMPLED_ACTIONS = frozenset({"MeterValues", "Heartbeat"})


@dataclass(frozen=True, slots=True)
class Result:
    """A CALLRESULT."""

    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A CALLERROR; the description tells people what to mend."""

    code: ErrorCode
    description: str


Reply = Result | Refusal


@dataclass(frozen=True, slots=True)
class Incoming:
    """A CALL and where it came from."""

    call: Call
    charge_point_id: str
    connection_id: str
    receive_time: datetime

    @property
    def origin(self) -> Origin:
        """Whence it came."""
        message_id = str(self.call.message_id)
        return Origin(self.charge_point_id, self.connection_id, message_id, self.receive_time)


class Dispatcher:
    """Answers the calls of charge points.

    Args:
        codec: Between JSON and protobuf.
        repairer: Validates payloads and repairs them.
        upstreams: The services.
        fallbacks: What charge points hear while a service is away.
        clock: The time of day.
        tracing: The spans of the process.
        sample_ratio: The share of MeterValues and Heartbeats that are traced.
    """

    def __init__(
        self,
        *,
        codec: Codec,
        repairer: Repairer,
        upstreams: Upstreams,
        fallbacks: Fallbacks,
        clock: Clock,
        tracing: Tracing,
        sample_ratio: float,
    ) -> None:
        self._codec, self._repairer, self._upstreams = codec, repairer, upstreams
        self._fallbacks, self._clock = fallbacks, clock
        self._tracing, self._sample_ratio = tracing, sample_ratio

    def answer_here(self, call: Call) -> Reply | None:
        """Return the answer to a call that needs no service; None when it needs one."""
        if call.action == "Heartbeat":
            return Result({"currentTime": ocpp_time(self._clock.now())})
        return None

    async def answer(self, incoming: Incoming) -> Reply:
        """Return the answer to a call; never raises for what a charge point or a service does."""
        action = incoming.call.action
        refused = refusal_of(action)
        if refused is not None:
            reason = f"The action {action[:50]} is not one that a charge point may send here."
            return await self._refuse(incoming, refused, reason)
        repaired = self._repairer.repair(action, incoming.call.payload, incoming.receive_time)
        if repaired.violations:
            first = repaired.violations[0]
            return await self._refuse(
                incoming, first.code, f"{first.path}: {first.message}".removeprefix(": ")
            )
        try:
            request = self._codec.to_message(action, repaired.payload)
        except CodecError as error:
            return await self._refuse(incoming, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, str(error))
        return await self._ask(incoming, request, repaired)

    def quarantine(
        self, frame: Malformed, charge_point_id: str, connection_id: str, received: datetime
    ) -> None:
        """Keep the text of a frame that could not be read, as far as there is room."""
        origin = Origin(charge_point_id, connection_id, str(frame.message_id or ""), received)
        report = self._unreadable(origin, frame.text, frame.code, frame.reason, frame.action or "")
        identity = {"charge_point": charge_point_id, "connection": connection_id}
        try:
            self._upstreams.tell_later(Service.SESSION, report)
        except QueueFull:
            log.warning("frame_not_kept", **identity, reason=frame.reason)
        log.warning("frame_unreadable", **identity, reason=frame.reason)

    async def _refuse(self, incoming: Incoming, code: ErrorCode, reason: str) -> Reply:
        """Keep the frame, then refuse it: a refused charge point may never send it again.

        A frame that cannot be kept now gets `InternalError`, so that the charge point keeps it.
        """
        call = incoming.call
        report = self._unreadable(incoming.origin, call.text, code, reason, call.action)
        kept = await self._upstreams.tell(Service.SESSION, report)
        log.warning("call_refused", **_identity(incoming), code=code, reason=reason, kept=kept)
        return Refusal(code, reason) if kept else _not_stored(call.action)

    def _unreadable(
        self, origin: Origin, text: str, code: ErrorCode, reason: str, action: str
    ) -> call_pb2.Call:
        report = self._upstreams.new_call(origin)
        report.raw_frame = storable(text)
        report.unreadable_frame.error_code = code
        report.unreadable_frame.reason = storable(reason)
        report.unreadable_frame.action = storable(action[:50])
        return report

    async def _ask(self, incoming: Incoming, request: ChargePointCall, repaired: Repaired) -> Reply:
        action = incoming.call.action
        call = self._upstreams.new_call(incoming.origin)
        call.request.CopyFrom(request)
        if repaired.rules or action in _EVIDENCE:
            call.raw_frame = storable(incoming.call.text)
        if repaired.rules:
            call.repairs.extend(repaired.rules)
            log.debug("frame_repaired", **_identity(incoming), rules=repaired.rules)
        if not self._is_traced(action):
            return await self._forward(incoming, call, ROUTES[action])
        with self._tracing.span(
            action,
            kind=SpanKind.SERVER,
            charge_point=incoming.charge_point_id,
            message_id=call.message_id,
        ) as traceparent:
            call.traceparent = traceparent
            return await self._forward(incoming, call, ROUTES[action])

    def _is_traced(self, action: str) -> bool:
        if not self._tracing.enabled:
            return False
        return action not in _SAMPLED_ACTIONS or random.random() < self._sample_ratio

    async def _forward(self, incoming: Incoming, call: call_pb2.Call, route: Route) -> Reply:
        action = incoming.call.action
        try:
            answer = await self._upstreams.ask(route.service, call)
        except NotAnswered as failure:
            log.warning("call_not_answered", **_identity(incoming), reason=str(failure))
            return self._fall_back(action, route)
        return Result(self._codec.answer_to_json(action, answer))

    def _fall_back(self, action: str, route: Route) -> Reply:
        if route.fallback is not None:
            return Result(route.fallback(self._fallbacks))
        return _not_stored(action)


def _not_stored(action: str) -> Refusal:
    return Refusal(
        ErrorCode.INTERNAL_ERROR,
        f"{action[:50]} could not be stored now; please keep it and send it again.",
    )


def _identity(incoming: Incoming) -> dict[str, str]:
    return {
        "charge_point": incoming.charge_point_id,
        "connection": incoming.connection_id,
        "message_id": str(incoming.call.message_id),
        "action": incoming.call.action[:50],
    }
