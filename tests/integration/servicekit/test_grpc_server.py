"""Health, reflection and errors of a gRPC server."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from structlog.testing import capture_logs

from csms.gateway.v1 import admission_pb2, admission_pb2_grpc
from servicekit import grpc_server
from servicekit.errors import InvalidRequest, QueueFull, Violation
from servicekit.grpc_client import open_channel
from servicekit.grpc_server import GrpcServer
from tests.fakes.admission import FailingAdmission
from tests.fakes.services import NO_TRACING, FakeService
from tests.support.errors import failure
from tests.support.services import free_address

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def failing() -> FailingAdmission:
    return FailingAdmission()


@pytest.fixture
async def service(
    failing: FailingAdmission, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FakeService]:
    monkeypatch.setattr(grpc_server, "_CHECK_INTERVAL_S", 0.02)
    service = FakeService(free_address(), {}, failing.register)
    await service.start()
    yield service
    await service.kill()


@pytest.fixture
async def channel(service: FakeService) -> AsyncIterator[grpc.aio.Channel]:
    async with open_channel(service.address) as channel:
        yield channel


async def test_health_follows_the_check(service: FakeService, channel: grpc.aio.Channel) -> None:
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    async with asyncio.timeout(10):
        seen = []
        async for answer in watch:
            seen.append(answer.status)
            service.healthy = answer.status == NOT_SERVING
            if len(seen) == 5:
                break
    watch.cancel()
    assert seen[-4:] in ([SERVING, NOT_SERVING] * 2, [NOT_SERVING, SERVING] * 2)


async def hangs() -> None:
    await asyncio.Event().wait()


async def breaks() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("check", [hangs, breaks])
async def test_check_that_hangs_or_breaks_is_not_serving(
    check: grpc_server.Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_server, "_CHECK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(grpc_server, "_CHECK_INTERVAL_S", 0.02)
    address = free_address()
    server = GrpcServer(address, [FailingAdmission().register], check, NO_TRACING)
    await server.start()
    async with open_channel(address) as channel, asyncio.timeout(10):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        async for answer in watch:
            if answer.status == NOT_SERVING:
                break
        watch.cancel()
    assert server._watch is not None
    assert not server._watch.done()
    await server.stop(0)


async def test_reflection_lists_the_services(channel: grpc.aio.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    async for answer in stub.ServerReflectionInfo(iter([request])):
        names = {item.name for item in answer.list_services_response.service}
    assert names == {
        "csms.gateway.v1.CallService",
        "csms.gateway.v1.AdmissionService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def admit(channel: grpc.aio.Channel) -> pytest.ExceptionInfo[grpc.aio.AioRpcError]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await admission_pb2_grpc.AdmissionServiceStub(channel).Admit(admission_pb2.AdmitRequest())
    return raised


async def test_platform_error_is_a_rich_status(
    failing: FailingAdmission, channel: grpc.aio.Channel
) -> None:
    failing.error = InvalidRequest([Violation("a.b", "must be better")])
    refused = failure(await admit(channel))
    assert (refused.code, refused.reason, refused.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
        ("a.b",),
    )


async def test_metadata_of_an_error_reaches_the_caller(
    failing: FailingAdmission, channel: grpc.aio.Channel
) -> None:
    failing.error = QueueFull("Full: é 🔌.", waiting=3)
    raised = await admit(channel)
    status = rpc_status.from_call(raised.value)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.metadata["waiting"], raised.value.details()) == ("3", "Full: é 🔌.")


async def test_defect_is_internal_and_tells_nothing(
    failing: FailingAdmission, channel: grpc.aio.Channel
) -> None:
    failing.error = RuntimeError("password=s3cret")
    with capture_logs() as logs:
        raised = await admit(channel)
    assert failure(raised).code is grpc.StatusCode.INTERNAL
    assert "s3cret" not in str(raised.value)
    assert [entry["log_level"] for entry in logs if entry["event"] == "rpc_failed"] == ["error"]
    assert [entry["code"] for entry in logs if entry["event"] == "rpc_served"] == ["INTERNAL"]
