"""StartSession and StopSession, with a device_service that is the test's."""

from __future__ import annotations  # the stubs have names that exist only for type checkers

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import session_service.clients
from csms.ocpp.v16 import types_pb2
from csms.v1 import session_service_pb2 as pb
from servicekit.errors import ErrorKind, InvalidRequest, PlatformError, ToldError, Violation
from servicekit.grpc_server import GrpcServer
from tests.fakes.commands import FakeCommands
from tests.integration.session_service.conftest import Platform, session_gateway
from tests.support.errors import RpcFailure, failure
from tests.support.services import NO_TRACING, free_address

UNKNOWN = "sessions/01900000-0000-7000-8000-000000000000"
REQUEST_ID = "7b7e9b0e-7d66-4f3b-8f1f-0d6a3f7f4f11"


@pytest.fixture
async def commands() -> FakeCommands:
    return FakeCommands()


@pytest.fixture
async def platform(
    database_url: str, auth_address: str, commands: FakeCommands
) -> AsyncIterator[Platform]:
    async def is_ready() -> None:
        pass

    address = free_address()
    server = GrpcServer(address, [commands.register], is_ready, NO_TRACING)
    await server.start()
    # The second replica is not there: calls go to the one that is.
    replicas = f"{address},{free_address()}"
    async with session_gateway(database_url, auth_address, replicas) as platform:
        yield platform
    await server.stop(0)


def start_session(**values: Any) -> pb.StartSessionRequest:
    defaults = {"charge_point": "chargePoints/CP-1", "id_tag": "idTags/CARD-1"}
    return pb.StartSessionRequest(**{**defaults, **values})


async def refused(call: Any) -> RpcFailure:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return failure(raised)


async def test_start_is_a_command(platform: Platform, commands: FakeCommands) -> None:
    profile = types_pb2.ChargingProfile(charging_profile_id=7)
    request = start_session(
        connector_id=2,
        charging_profile=profile,
        wait=Duration(seconds=20),
        request_id=REQUEST_ID,
    )
    command = await platform.sessions.StartSession(request, metadata=(("x-requester", "ada"),))
    (asked,) = commands.asked
    assert command.name == "chargePoints/CP-1/commands/1"
    assert (asked.parent, asked.wait.seconds) == ("chargePoints/CP-1", 20)
    assert asked.request_id == REQUEST_ID
    start = asked.command.remote_start_transaction
    assert (start.id_tag, start.connector_id, start.charging_profile) == ("CARD-1", 2, profile)
    assert asked.command.session == ""
    assert commands.metadata["x-requester"] == "ada"


async def test_start_leaves_out_what_is_not_asked_for(
    platform: Platform, commands: FakeCommands
) -> None:
    await platform.sessions.StartSession(start_session(id_tag="idTags/A/B"))
    start = commands.asked[0].command.remote_start_transaction
    assert start.id_tag == "A/B"
    assert not start.HasField("connector_id")
    assert not start.HasField("charging_profile")
    assert "x-requester" not in commands.metadata


async def test_start_makes_no_session(platform: Platform) -> None:
    await platform.sessions.StartSession(start_session())
    assert await platform.all_sessions() == []


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.StartSessionRequest(), ("charge_point", "id_tag")),
        (start_session(charge_point="CP-1", id_tag="CARD-1"), ("charge_point", "id_tag")),
        (
            start_session(wait=Duration(seconds=301), request_id="again"),
            ("wait", "request_id"),
        ),
        (start_session(wait=Duration(seconds=2**62)), ("wait",)),
    ],
)
async def test_every_violation_of_a_start_is_told(
    platform: Platform,
    commands: FakeCommands,
    request_: pb.StartSessionRequest,
    fields: tuple[str, ...],
) -> None:
    told = await refused(platform.sessions.StartSession(request_))
    assert (told.reason, told.fields) == ("INVALID_REQUEST", fields)
    assert commands.asked == []


async def test_violations_found_by_device_service_name_our_fields(
    platform: Platform, commands: FakeCommands
) -> None:
    prefix = "command.remote_start_transaction"
    paths = ("parent", f"{prefix}.id_tag", f"{prefix}.charging_profile.stack_level")
    commands.error = InvalidRequest([Violation(path, "is wrong") for path in paths])
    told = await refused(platform.sessions.StartSession(start_session()))
    assert told.code is grpc.StatusCode.INVALID_ARGUMENT
    assert told.fields == ("charge_point", "id_tag", "charging_profile.stack_level")


async def test_stop_is_a_command_of_the_session(platform: Platform, commands: FakeCommands) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    session = await platform.the_session()
    request = pb.StopSessionRequest(name=session.name, request_id=REQUEST_ID)
    command = await platform.sessions.StopSession(request)
    (asked,) = commands.asked
    assert asked.parent == "chargePoints/CP-1"
    assert asked.request_id == REQUEST_ID
    assert asked.command.remote_stop_transaction.transaction_id == transaction_id
    assert asked.command.session == command.session == session.name


async def test_stop_of_an_ended_session_is_refused(
    platform: Platform, commands: FakeCommands
) -> None:
    await platform.gateway.stop((await platform.gateway.start()).transaction_id)
    session = await platform.the_session()
    told = await refused(platform.sessions.StopSession(pb.StopSessionRequest(name=session.name)))
    assert told.code is grpc.StatusCode.FAILED_PRECONDITION
    assert told.reason == "SESSION_ALREADY_ENDED"
    assert commands.asked == []


async def test_stop_of_an_unknown_session_is_refused(platform: Platform) -> None:
    told = await refused(platform.sessions.StopSession(pb.StopSessionRequest(name=UNKNOWN)))
    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
    told = await refused(platform.sessions.StopSession(pb.StopSessionRequest(name="42")))
    assert told.fields == ("name",)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ErrorKind.FAILED_PRECONDITION, "CHARGE_POINT_OFFLINE"),
        (ErrorKind.NOT_FOUND, "CHARGE_POINT_NOT_FOUND"),
        (ErrorKind.UNAVAILABLE, "DATABASE_UNAVAILABLE"),
    ],
)
async def test_errors_of_device_service_are_passed_on(
    platform: Platform, commands: FakeCommands, kind: ErrorKind, reason: str
) -> None:
    commands.error = ToldError(kind, reason, "No.", metadata={})
    told = await refused(platform.sessions.StartSession(start_session()))
    assert (told.code.name, told.reason) == (kind.name, reason)


class TooMany(PlatformError):
    """Too many commands wait."""

    kind, reason = ErrorKind.RESOURCE_EXHAUSTED, "TOO_MANY_PENDING_COMMANDS"


async def test_details_of_an_error_are_passed_on(
    platform: Platform, commands: FakeCommands
) -> None:
    commands.error = TooMany("Too many wait.", retry_after=timedelta(seconds=5), limit=50)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.sessions.StartSession(start_session())
    status = rpc_status.from_call(raised.value)
    assert status is not None
    assert status.message == "Too many wait."
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (dict(info.metadata), retry.retry_delay.seconds) == ({"limit": "50"}, 5)


async def test_device_service_that_is_away_may_be_tried_again(
    database_url: str, auth_address: str
) -> None:
    async with session_gateway(database_url, auth_address) as platform:
        told = await refused(platform.sessions.StartSession(start_session()))
    assert (told.code.name, told.reason) == ("UNAVAILABLE", "SERVICE_UNAVAILABLE")


async def test_device_service_that_does_not_answer_is_given_up(
    platform: Platform, commands: FakeCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_service.clients, "_CREATION_S", 0.3)
    commands.holds = True
    told = await refused(platform.sessions.StartSession(start_session()))
    assert told.reason == "SERVICE_UNAVAILABLE"
