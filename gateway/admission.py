"""Who may connect: asked of device_service, remembered for a short while.

The memory lets a whole fleet come back at once, after a gateway's restart, without a question for
each handshake.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import grpc
import structlog

from csms.gateway.v1 import admission_pb2, admission_pb2_grpc

log = structlog.get_logger()

_ASK_TIMEOUT_S = 8.0
_MAX_REMEMBERED = 50_000
_MAX_REPORTS = 200
_MAX_SUBPROTOCOLS = 20
_MAX_SUBPROTOCOL = 50


class AdmissionUnavailable(Exception):
    """device_service did not say whether the charge point may connect; it should try again."""


@dataclass(frozen=True)
class Handshake:
    """An opening handshake: who asks, from where, offering which subprotocols."""

    charge_point_id: str
    remote_address: str
    subprotocols: tuple[str, ...]


class Admission:
    """Admits or refuses opening handshakes.

    Args:
        channel: The channel to device_service.
        gateway_id: This gateway's name, for people.
        remember_s: Seconds for which an admission holds without asking again.
    """

    def __init__(self, channel: grpc.aio.Channel, gateway_id: str, remember_s: float) -> None:
        self._stub = admission_pb2_grpc.AdmissionServiceStub(channel)
        self._gateway_id, self._remember_s = gateway_id, remember_s
        self._remembered: OrderedDict[
            tuple[str, tuple[str, ...]], tuple[float, admission_pb2.AdmitResponse]
        ] = OrderedDict()
        self._reports: set[asyncio.Task[None]] = set()

    async def judge(self, handshake: Handshake) -> admission_pb2.AdmitResponse:
        """Return the verdict on a handshake.

        Raises:
            AdmissionUnavailable: device_service cannot be reached.
        """
        key = (handshake.charge_point_id, handshake.subprotocols)
        remembered = self._remembered.get(key)
        if remembered and remembered[0] > time.monotonic():
            return remembered[1]
        verdict = await self._ask(handshake)
        if verdict.verdict == admission_pb2.VERDICT_ADMITTED:
            self._remember(key, verdict)
        return verdict

    def report_refusal(self, handshake: Handshake, reason: str) -> None:
        """Let a refusal of the gateway itself be listed; best effort and in the background."""
        if len(self._reports) >= _MAX_REPORTS:
            return
        task = asyncio.create_task(self._report(handshake, reason))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _ask(
        self, handshake: Handshake, refusal_reason: str = ""
    ) -> admission_pb2.AdmitResponse:
        request = admission_pb2.AdmitRequest(
            charge_point_id=handshake.charge_point_id,
            remote_address=handshake.remote_address,
            subprotocols=handshake.subprotocols,
            gateway_id=self._gateway_id,
            refusal_reason=refusal_reason,
        )
        try:
            return await self._stub.Admit(request, timeout=_ASK_TIMEOUT_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            raise AdmissionUnavailable(error.code().name) from None

    async def _report(self, handshake: Handshake, reason: str) -> None:
        try:
            await self._ask(handshake, reason)
        except AdmissionUnavailable:
            log.warning("refusal_not_kept", reason=reason, remote=handshake.remote_address)

    def _remember(
        self, key: tuple[str, tuple[str, ...]], verdict: admission_pb2.AdmitResponse
    ) -> None:
        self._remembered[key] = (time.monotonic() + self._remember_s, verdict)
        self._remembered.move_to_end(key)
        while len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)


def offered(headers: Sequence[str]) -> tuple[str, ...]:
    """Return the subprotocols in the headers `Sec-WebSocket-Protocol` (RFC 6455, 11.3.4).

    No more than a charge point has any use for: they are remembered with each admission.
    """
    names = (name.strip() for header in headers for name in header.split(","))
    of_use = (name for name in names if 0 < len(name) <= _MAX_SUBPROTOCOL)
    return tuple(islice(of_use, _MAX_SUBPROTOCOLS))
