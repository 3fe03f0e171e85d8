"""session_service and auth_service over real gRPC and PostgreSQL, and a gateway's stream."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

import auth_service.config
import auth_service.wiring
import session_service.config
import session_service.wiring
from csms.gateway.v1 import call_pb2
from csms.ocpp.v16 import charge_point_call_pb2, core_pb2, types_pb2
from csms.v1 import id_tag_service_pb2, id_tag_service_pb2_grpc, session_service_pb2_grpc
from csms.v1 import session_service_pb2 as pb
from servicekit.calls.client import CallClient
from servicekit.clock import SystemClock
from servicekit.database import Database
from servicekit.timestamps import to_timestamp
from tests.support.services import NO_TRACING, free_address, serving

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> Any:
    """Return the timestamp that many seconds after the tests' noon."""
    return to_timestamp(T0 + timedelta(seconds=seconds))


@dataclass
class Gateway:
    """Sends calls as a gateway does."""

    client: CallClient
    patience_s: float = 20
    connection_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    async def exchange(
        self, charge_point_id: str, payload: Message, *, repairs: Any = (), raw_frame: str = ""
    ) -> call_pb2.Answer:
        """Return the answer to a request, or to a report of the gateway."""
        return await self.send(self.call(charge_point_id, payload, repairs, raw_frame))

    async def send(self, call: call_pb2.Call) -> call_pb2.Answer:
        """Return the answer to a call."""
        return await self.client.call(call)

    def call(
        self, charge_point_id: str, payload: Message, repairs: Any = (), raw_frame: str = ""
    ) -> call_pb2.Call:
        """Return a call that was received now."""
        now = datetime.now(UTC)
        call = call_pb2.Call(
            charge_point_id=charge_point_id,
            connection_id=self.connection_id,
            message_id=str(uuid.uuid4()),
            receive_time=to_timestamp(now),
            expire_time=to_timestamp(now + timedelta(seconds=self.patience_s)),
            repairs=repairs,
            raw_frame=raw_frame,
        )
        if isinstance(payload, call_pb2.UnreadableFrame):
            call.unreadable_frame.CopyFrom(payload)
        else:
            call.request.CopyFrom(_request(payload))
        return call

    async def start(
        self, charge_point_id: str = "CP-1", **values: Any
    ) -> core_pb2.StartTransactionResponse:
        """Start a transaction on connector 1 at noon and 1000 Wh, unless told otherwise."""
        request = start_request(**values)
        return (await self.exchange(charge_point_id, request)).response.start_transaction

    async def stop(
        self, transaction_id: int, charge_point_id: str = "CP-1", **values: Any
    ) -> core_pb2.StopTransactionResponse:
        """Stop a transaction an hour after noon at 5000 Wh, unless told otherwise."""
        request = stop_request(transaction_id, **values)
        answer = await self.exchange(charge_point_id, request)
        assert answer.WhichOneof("outcome") == "response", answer
        return answer.response.stop_transaction

    async def meter(
        self,
        *meter_values: types_pb2.MeterValue,
        charge_point_id: str = "CP-1",
        connector_id: int = 1,
        transaction_id: int | None = None,
    ) -> None:
        """Report meter values."""
        request = core_pb2.MeterValuesRequest(
            connector_id=connector_id, transaction_id=transaction_id, meter_value=meter_values
        )
        answer = await self.exchange(charge_point_id, request)
        assert answer.response.HasField("meter_values"), answer


@dataclass
class Platform:
    """Both services, and what talks to them."""

    sessions: session_service_pb2_grpc.SessionServiceAsyncStub
    id_tags: id_tag_service_pb2_grpc.IdTagServiceAsyncStub
    gateway: Gateway

    async def tag(self, text: str = "CARD-1", **values: Any) -> None:
        """Make an id tag."""
        tag = id_tag_service_pb2.IdTag(**values)
        await self.id_tags.CreateIdTag(
            id_tag_service_pb2.CreateIdTagRequest(id_tag_id=text, id_tag=tag)
        )

    async def block(self, text: str) -> None:
        """Block an id tag."""
        tag = id_tag_service_pb2.IdTag(name=f"idTags/{text}", blocked=True)
        await self.id_tags.UpdateIdTag(id_tag_service_pb2.UpdateIdTagRequest(id_tag=tag))

    async def all_sessions(self, **filters: Any) -> list[pb.Session]:
        """List sessions, newest first."""
        response = await self.sessions.ListSessions(pb.ListSessionsRequest(**filters))
        return list(response.sessions)

    async def the_session(self) -> pb.Session:
        """Return the only session."""
        (session,) = await self.all_sessions()
        return session

    async def session(self, transaction_id: int) -> pb.Session:
        """Return the session of a transaction."""
        (name,) = [
            session.name
            for session in await self.all_sessions()
            if session.ocpp_transaction_id == transaction_id
        ]
        return await self.sessions.GetSession(pb.GetSessionRequest(name=name))

    async def meter_values(self, session: pb.Session) -> list[pb.MeterValue]:
        """List the meter values of a session."""
        request = pb.ListMeterValuesRequest(parent=session.name)
        return list((await self.sessions.ListMeterValues(request)).meter_values)

    async def quarantined(self, **filters: Any) -> list[pb.QuarantineEntry]:
        """List the quarantine entries."""
        request = pb.ListQuarantineEntriesRequest(**filters)
        return list((await self.sessions.ListQuarantineEntries(request)).quarantine_entries)


def start_request(**values: Any) -> core_pb2.StartTransactionRequest:
    """Return a start of CARD-1 on connector 1 at noon and 1000 Wh, unless told otherwise."""
    defaults = {"connector_id": 1, "id_tag": "CARD-1", "meter_start": 1000, "timestamp": at(0)}
    return core_pb2.StartTransactionRequest(**{**defaults, **values})


def stop_request(transaction_id: int, **values: Any) -> core_pb2.StopTransactionRequest:
    """Return a stop an hour after noon at 5000 Wh, unless told otherwise."""
    defaults = {"transaction_id": transaction_id, "meter_stop": 5000, "timestamp": at(3600)}
    return core_pb2.StopTransactionRequest(**{**defaults, **values})


def energy(seconds: float, value: str, **values: Any) -> types_pb2.MeterValue:
    """Return a meter value with an energy register."""
    sample = types_pb2.SampledValue(value=value, **values)
    return types_pb2.MeterValue(timestamp=at(seconds), sampled_value=[sample])


def auth_config(database_url: str, address: str) -> auth_service.config.Config:
    """Return the settings of auth_service."""
    return auth_service.config.Config(listen=address, database_url=database_url)


@contextlib.asynccontextmanager
async def gateway_to(channel: grpc.aio.Channel) -> AsyncIterator[Gateway]:
    """Hold a call stream to session_service for the block."""
    client = CallClient("session", channel, SystemClock())
    running = asyncio.create_task(client.run())
    try:
        yield Gateway(client)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@contextlib.asynccontextmanager
async def session_gateway(
    database_url: str, auth_address: str, device_address: str = "", **settings: Any
) -> AsyncIterator[Platform]:
    """Serve one replica of session_service; its platform talks to this replica."""
    config = session_service.config.Config(
        listen=free_address(),
        database_url=database_url,
        auth_address=auth_address,
        device_address=device_address or free_address(),
        **settings,
    )
    service = session_service.wiring.build(config, NO_TRACING)
    async with (
        serving(service, config.listen) as channel,
        gateway_to(channel) as gateway,
        grpc.aio.insecure_channel(auth_address) as auth,
    ):
        yield Platform(
            session_service_pb2_grpc.SessionServiceStub(channel),
            id_tag_service_pb2_grpc.IdTagServiceStub(auth),
            gateway,
        )


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """session_service's schema, past the service."""
    database = Database(database_url, session_service.wiring.SCHEMA)
    yield database
    await database.close()


@pytest.fixture
async def auth_address(database_url: str) -> AsyncIterator[str]:
    """The address of a running auth_service."""
    config = auth_config(database_url, free_address())
    async with serving(auth_service.wiring.build(config, NO_TRACING), config.listen):
        yield config.listen


@pytest.fixture
async def platform(database_url: str, auth_address: str) -> AsyncIterator[Platform]:
    """Both services, running."""
    async with session_gateway(database_url, auth_address) as platform:
        yield platform


def _request(payload: Message) -> charge_point_call_pb2.ChargePointCall:
    call = charge_point_call_pb2.ChargePointCall()
    for name, item in call.DESCRIPTOR.fields_by_name.items():
        if item.message_type is payload.DESCRIPTOR:
            getattr(call, name).CopyFrom(payload)
    return call
