"""From a charge point's CALL to its answer: validate, repair, translate, ask the service."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import structlog

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16.charge_point_call_pb2 import ChargePointAnswer
from gateway.clock import ocpp_time
from gateway.ocppj.actions import refusal_of
from gateway.ocppj.frames import Call, ErrorCode, Malformed
from gateway.patterns import Patterns, Reader
from gateway.repair import Repaired, Repairer
from gateway.routing import ROUTES, Fallbacks, Service
from gateway.text import storable
from gateway.upstream import NotAnswered, Origin, Upstreams
from ocpp16.codec import Codec, CodecError
from servicekit.errors import QueueFull
from servicekit.telemetry import SpanKind, Tracing

log = structlog.get_logger()

_EVIDENCE = frozenset({"StartTransaction", "StopTransaction"})
"""Money hangs on these: their frames are kept byte for byte, repaired or not."""
_SAMPLED_ACTIONS = frozenset({"MeterValues", "Heartbeat"})


class Result(NamedTuple):
    """A CALLRESULT."""

    payload: dict[str, Any]


class Refusal(NamedTuple):
    """A CALLERROR; the description tells people what to mend."""

    code: ErrorCode
    description: str


Reply: TypeAlias = Result | Refusal
Done: TypeAlias = Callable[[Reply], None]

DEFECT = Refusal(ErrorCode.INTERNAL_ERROR, "An internal error occurred; it has been logged.")


class Dispatcher:
    """Answers the calls of charge points.

    Args:
        codec: Between JSON and protobuf.
        repairer: Validates payloads and repairs them.
        upstreams: The services.
        fallbacks: What charge points hear while a service is away.
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
        tracing: Tracing,
        sample_ratio: float,
    ) -> None:
        self._codec, self._repairer, self._upstreams = codec, repairer, upstreams
        self._fallbacks = fallbacks
        self._tracing, self._sample_ratio = tracing, sample_ratio
        self._patterns = Patterns()

    def reader(self) -> Reader:
        """Return what reads the frames of a new connection."""
        return Reader(self._patterns)

    def answer(self, call: Call, origin: Origin, done: Done) -> Reply | None:
        """Return the answer that the gateway gives by itself; None when a service is asked.

        The service's answer goes to `done`, once, later than this returns.
        """
        if call.action == "Heartbeat":
            return Result({"currentTime": ocpp_time(origin.receive_time)})
        try:
            self._serve(call, origin, done)
        except Exception:
            log.exception("call_failed", **_identity(call, origin))
            return DEFECT
        return None

    def quarantine(self, frame: Malformed, origin: Origin) -> None:
        """Keep the text of a frame that could not be read, as far as there is room."""
        report = self._unreadable(origin, frame.text, frame.code, frame.reason, frame.action or "")
        identity = {"charge_point": origin.charge_point_id, "connection": origin.connection_id}
        try:
            self._upstreams.tell_later(Service.SESSION, report)
        except QueueFull:
            log.warning("frame_not_kept", **identity, reason=frame.reason)
        log.warning("frame_unreadable", **identity, reason=frame.reason)

    def _serve(self, call: Call, origin: Origin, done: Done) -> None:
        action = call.action
        if isinstance(call.payload, bytes):  # valid, and written by its pattern
            request = self._upstreams.new_call(origin)
            return self._ask(call, origin, request, self._traced(call, request, done), call.payload)
        refused = refusal_of(action)
        if refused is not None:
            reason = f"The action {action[:50]} is not one that a charge point may send here."
            return self._refuse(call, origin, done, refused, reason)
        repaired = self._repairer.repair(action, call.payload, origin.receive_time)
        if repaired.violations:
            first = repaired.violations[0]
            reason = f"{first.path}: {first.message}".removeprefix(": ")
            return self._refuse(call, origin, done, first.code, reason)
        try:
            request = self._request(call, origin, repaired)
        except CodecError as error:
            code = ErrorCode.PROPERTY_CONSTRAINT_VIOLATION
            return self._refuse(call, origin, done, code, str(error))
        return self._ask(call, origin, request, self._traced(call, request, done))

    def _request(self, call: Call, origin: Origin, repaired: Repaired) -> call_pb2.Call:
        action, rules = call.action, repaired.rules
        request = self._codec.charge_point_calls.decode_within(
            action,
            repaired.payload,
            lambda fields: self._upstreams.new_call(origin, request=fields),
        )
        if rules or action in _EVIDENCE:
            request.raw_frame = storable(call.text)
        if action == "MeterValues" and not rules:
            self._patterns.learn(call.text, request.request)
        if rules:
            request.repairs.extend(rules)
            log.debug("frame_repaired", **_identity(call, origin), rules=rules)
        return request

    def _ask(
        self, call: Call, origin: Origin, request: call_pb2.Call, done: Done, rest: bytes = b""
    ) -> None:
        def answered(answer: ChargePointAnswer | NotAnswered) -> None:
            try:
                reply = self._reply(call, origin, answer)
            except Exception:
                log.exception("call_failed", **_identity(call, origin))
                reply = DEFECT
            done(reply)

        self._upstreams.ask(ROUTES[call.action].service, request, answered, rest)

    def _reply(self, call: Call, origin: Origin, answer: ChargePointAnswer | NotAnswered) -> Reply:
        if isinstance(answer, NotAnswered):
            log.warning("call_not_answered", **_identity(call, origin), reason=answer.reason)
            return self._fall_back(call.action)
        return Result(self._codec.answer_to_json(call.action, answer))

    def _fall_back(self, action: str) -> Reply:
        fallback = ROUTES[action].fallback
        return _not_stored(action) if fallback is None else Result(fallback(self._fallbacks))

    def _refuse(self, call: Call, origin: Origin, done: Done, code: ErrorCode, reason: str) -> None:
        """Keep the frame, then refuse it: a refused charge point may never send it again.

        A frame that cannot be kept now gets `InternalError`, so that the charge point keeps it.
        """

        def told(kept: bool) -> None:
            log.warning(
                "call_refused", **_identity(call, origin), code=code, reason=reason, kept=kept
            )
            done(Refusal(code, reason) if kept else _not_stored(call.action))

        report = self._unreadable(origin, call.text, code, reason, call.action)
        self._upstreams.tell(Service.SESSION, report, told)

    def _unreadable(
        self, origin: Origin, text: str, code: ErrorCode, reason: str, action: str
    ) -> call_pb2.Call:
        frame = {"error_code": code, "reason": storable(reason), "action": storable(action[:50])}
        return self._upstreams.new_call(origin, raw_frame=storable(text), unreadable_frame=frame)

    def _traced(self, call: Call, request: call_pb2.Call, done: Done) -> Done:
        """Begin the span of a call that is traced; return what ends it and answers."""
        if not self._is_traced(call.action):
            return done
        request.traceparent, end = self._tracing.begin(
            call.action,
            kind=SpanKind.SERVER,
            charge_point=request.charge_point_id,
            message_id=request.message_id,
        )

        def end_and_answer(reply: Reply) -> None:
            end()
            done(reply)

        return end_and_answer

    def _is_traced(self, action: str) -> bool:
        if not self._tracing.enabled:
            return False
        return action not in _SAMPLED_ACTIONS or random.random() < self._sample_ratio


def _not_stored(action: str) -> Refusal:
    return Refusal(
        ErrorCode.INTERNAL_ERROR,
        f"{action[:50]} could not be stored now; please keep it and send it again.",
    )


def _identity(call: Call, origin: Origin) -> dict[str, str]:
    return {
        "charge_point": origin.charge_point_id,
        "connection": origin.connection_id,
        "message_id": origin.message_id,
        "action": call.action[:50],
    }
