"""A gateway's side of device_service, spoken over real streams."""

from __future__ import annotations  # the stubs have names that exist only for type checkers

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.message import Message

from csms.gateway.v1 import admission_pb2, admission_pb2_grpc, call_pb2, call_pb2_grpc
from csms.ocpp.v16 import core_pb2
from csms.v1 import charge_point_service_pb2 as pb
from csms.v1 import charge_point_service_pb2_grpc as pb_grpc
from servicekit.lifecycle import Service

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def move(self, **span: float) -> None:
        self.time += timedelta(**span)


@dataclass(frozen=True)
class Platform:
    """The service under test, its stubs, and its clock."""

    channel: grpc.aio.Channel
    clock: SetClock
    service: Service

    @property
    def charge_points(self) -> pb_grpc.ChargePointServiceAsyncStub:
        return pb_grpc.ChargePointServiceStub(self.channel)

    async def create(self, identity: str, **values: Any) -> pb.ChargePoint:
        request = pb.CreateChargePointRequest(
            charge_point_id=identity, charge_point=pb.ChargePoint(**values)
        )
        return await self.charge_points.CreateChargePoint(request)

    async def get(self, identity: str) -> pb.ChargePoint:
        request = pb.GetChargePointRequest(name=f"chargePoints/{identity}")
        return await self.charge_points.GetChargePoint(request)

    async def connector(self, identity: str, number: int) -> pb.Connector:
        name = f"chargePoints/{identity}/connectors/{number}"
        return await self.charge_points.GetConnector(pb.GetConnectorRequest(name=name))

    async def notices(self, identity: str, **filters: Any) -> Sequence[pb.Notice]:
        request = pb.ListNoticesRequest(parent=f"chargePoints/{identity}", **filters)
        return (await self.charge_points.ListNotices(request)).notices

    async def refused(self) -> Sequence[pb.RefusedHandshake]:
        request = pb.ListRefusedHandshakesRequest()
        return (await self.charge_points.ListRefusedHandshakes(request)).refused_handshakes

    async def admit(
        self, identity: str, subprotocols: Sequence[str] = ("ocpp1.6",), **values: str
    ) -> admission_pb2.AdmitResponse:
        request = admission_pb2.AdmitRequest(
            charge_point_id=identity,
            subprotocols=subprotocols,
            **({"remote_address": "192.0.2.1:4000", "gateway_id": "gateway-1"} | values),
        )
        return await admission_pb2_grpc.AdmissionServiceStub(self.channel).Admit(request)


class Caller:
    """Makes calls; the next call of one caller has the next OCPP message id."""

    def __init__(self, clock: SetClock, identity: str = "CP-1", connection: str = "conn-1") -> None:
        self._clock, self._identity, self._connection = clock, identity, connection
        self._numbers = itertools.count(1)

    def request(self, message: Message, **values: Any) -> call_pb2.Call:
        """Return the call that carries a charge point's request."""
        call = self._call(**values)
        _set(call.request, message)
        return call

    def _call(self, **values: Any) -> call_pb2.Call:
        number = next(self._numbers)
        call = call_pb2.Call(
            charge_point_id=self._identity,
            connection_id=self._connection,
            message_id=str(number),
            **values,
        )
        call.receive_time.FromDatetime(self._clock.now())
        call.expire_time.FromDatetime(self._clock.now() + timedelta(seconds=25))
        return call


def _set(carrier: Message, message: Message) -> None:
    """Put a message into the one field of a carrier that has its type."""
    fields = carrier.DESCRIPTOR.fields
    name = next(field.name for field in fields if field.message_type is message.DESCRIPTOR)
    getattr(carrier, name).CopyFrom(message)


async def exchange(platform: Platform, *calls: call_pb2.Call) -> list[call_pb2.Answer]:
    """Send calls in one batch on a stream of their own and return the answers in their order."""
    stream = call_pb2_grpc.CallServiceStub(platform.channel).Exchange()
    request = call_pb2.ExchangeRequest(calls=calls)
    for number, call in enumerate(request.calls):
        call.sequence = number
    await stream.write(request)
    answers: dict[int, call_pb2.Answer] = {}
    while len(answers) < len(calls):
        response = await stream.read()
        assert isinstance(response, call_pb2.ExchangeResponse)
        answers |= {answer.sequence: answer for answer in response.answers}
    await stream.done_writing()
    return [answers[number] for number in range(len(calls))]


async def ask(platform: Platform, call: call_pb2.Call) -> Any:
    """Send one call and return the charge point's response, whichever it is."""
    (answer,) = await exchange(platform, call)
    assert answer.WhichOneof("outcome") == "response", answer
    name = answer.response.WhichOneof("response")
    assert name is not None
    return getattr(answer.response, name)


def a_status(
    status: core_pb2.ChargePointStatus.ValueType = core_pb2.CHARGE_POINT_STATUS_AVAILABLE,
    reported: datetime | None = None,
    connector_id: int = 1,
    **values: Any,
) -> core_pb2.StatusNotificationRequest:
    """Return a StatusNotification without an error."""
    request = core_pb2.StatusNotificationRequest(
        connector_id=connector_id,
        error_code=core_pb2.CHARGE_POINT_ERROR_CODE_NO_ERROR,
        status=status,
        **values,
    )
    if reported is not None:
        request.timestamp.FromDatetime(reported)
    return request


def a_boot(**values: str) -> core_pb2.BootNotificationRequest:
    """Return a BootNotification."""
    return core_pb2.BootNotificationRequest(
        charge_point_vendor="Vendor", charge_point_model="Model", **values
    )
