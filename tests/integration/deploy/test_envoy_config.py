"""Envoy as configured, before stand-ins for the gateway and one service."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from csms.v1 import charge_point_service_pb2 as charge_points
from csms.v1 import charge_point_service_pb2_grpc as charge_points_grpc
from csms.v1 import command_service_pb2 as commands
from csms.v1 import session_service_pb2 as sessions
from csms.v1 import session_service_pb2_grpc as sessions_grpc
from deploy.parts import ENVOY, Parts, lay_out
from deploy.process import Process, run_to_end
from tests.support.platform import settings
from tests.support.services import serving_methods
from tests.support.waiting import until

HANDSHAKE = (
    "Host: voltmesh\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: ocpp1.6\r\nX-Remote-Address: 203.0.113.9:1\r\n\r\n"
)
NOT_FOUND, INVALID_ARGUMENT, UNAVAILABLE, PERMISSION_DENIED = 5, 3, 14, 7


async def get_charge_point(
    request: charge_points.GetChargePointRequest, context: grpc.aio.ServicerContext[Any, Any]
) -> charge_points.ChargePoint:
    """Answer with the name that was asked for."""
    if request.name == "chargePoints/unknown":
        await context.abort_with_status(rpc_status.to_status(unknown_charge_point()))
    return charge_points.ChargePoint(name=request.name)


def charge_point_service() -> grpc.GenericRpcHandler:
    handler = grpc.unary_unary_rpc_method_handler(
        get_charge_point,
        request_deserializer=charge_points.GetChargePointRequest.FromString,
        response_serializer=charge_points.ChargePoint.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(
        "csms.v1.ChargePointService", {"GetChargePoint": handler}
    )


async def get_command(
    request: commands.GetCommandRequest, _: grpc.aio.ServicerContext[Any, Any]
) -> commands.Command:
    """Answer with the time that the caller is ready to wait."""
    return commands.Command(name=request.name, answer_timeout=request.wait)


async def watch_command(
    request: commands.WatchCommandRequest, _: grpc.aio.ServicerContext[Any, Any]
) -> AsyncIterator[commands.Command]:
    """Tell one state, and nothing more for as long as the caller listens."""
    yield commands.Command(name=request.name, state=commands.Command.STATE_PENDING)
    await asyncio.Event().wait()


def command_service() -> grpc.GenericRpcHandler:
    get = grpc.unary_unary_rpc_method_handler(
        get_command,
        request_deserializer=commands.GetCommandRequest.FromString,
        response_serializer=commands.Command.SerializeToString,
    )
    watch = grpc.unary_stream_rpc_method_handler(
        watch_command,
        request_deserializer=commands.WatchCommandRequest.FromString,
        response_serializer=commands.Command.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(
        "csms.v1.CommandService", {"GetCommand": get, "WatchCommand": watch}
    )


def unknown_charge_point() -> status_pb2.Status:
    status = status_pb2.Status(code=NOT_FOUND, message="There is no such charge point.")
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason="CHARGE_POINT_NOT_FOUND", domain="csms")
    )
    return status


async def echo_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be the gateway: answer with the head of the request, as the text of the body or socket."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"upgrade: websocket" in head.lower():
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")
        writer.write(b"Connection: Upgrade\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n" + head)
    else:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(head)}\r\n\r\n".encode() + head)
    await writer.drain()
    writer.close()


@pytest.fixture(scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("envoy")
    chosen = settings(folder)
    parts = Parts(settings=chosen, layout=lay_out(chosen), database_url="")
    parts.write_envoy_config()
    return parts


@pytest.fixture(scope="module")
async def front_door(parts: Parts) -> AsyncIterator[str]:
    """host:port of Envoy; behind it are a gateway and device_service, the others are away."""
    host, _, port = parts.layout.gateways["gateway"].rpartition(":")
    gateway = await asyncio.start_server(echo_head, host, int(port))
    envoy, device = parts.envoy(), parts.layout.services["device_service"]
    async with serving_methods(charge_point_service(), command_service(), address=device):
        await envoy.start()
        yield parts.layout.public
        await envoy.stop()
    gateway.close()
    await gateway.wait_closed()


@pytest.fixture(scope="module")
async def rest(front_door: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{front_door}", timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
async def channel(front_door: str) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(front_door) as channel:
        yield channel


async def handshake(front_door: str, path: str) -> tuple[int, str]:
    """Send an opening handshake; return the status and what follows the head of the answer."""
    host, _, port = front_door.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\n{HANDSHAKE}".encode("latin-1"))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    status = int(head.split()[1])
    rest = b"\r\n\r\n" if status == 101 else b"}"
    text = (await asyncio.wait_for(reader.readuntil(rest), 10)).decode("latin-1")
    writer.close()
    await writer.wait_closed()
    return status, text


async def test_envoy_accepts_the_configuration(parts: Parts, tmp_path: Path) -> None:
    config = parts.settings.build / "envoy.yaml"
    command = [*ENVOY, "--mode", "validate", "-c", str(config)]
    await run_to_end(Process("envoy validate", command, tmp_path / "log"), 20)


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("/ocpp/CP-1", "/ocpp/CP-1"),
        ("//ocpp//CP-1/", "//ocpp//CP-1/"),
        ("/ocpp/A%20B", "/ocpp/A%20B"),
        ("/ocpp/A%2FB", "/ocpp/A%2FB"),
        ("/ocpp/A%00B", "/ocpp/A%00B"),
        ("/ocpp/..", "/ocpp/.."),
        ("/ocpp/%2e%2e", "/ocpp/%2e%2e"),
        ("/ocpp/CP-1?x=1", "/ocpp/CP-1?x=1"),
        ("http://voltmesh/ocpp/CP-1", "/ocpp/CP-1"),
    ],
)
async def test_identities_reach_the_gateway_as_sent(
    front_door: str, sent: str, arrives: str
) -> None:
    status, head = await handshake(front_door, sent)
    assert status == 101
    assert head.startswith(f"GET {arrives} HTTP/1.1\r\n")


@pytest.mark.parametrize("path", ["/ocpp/A\0B", "/ocpp/A B", "/ocpp/A\xffB"])
async def test_a_path_that_is_no_url_is_refused(front_door: str, path: str) -> None:
    status, text = await handshake(front_door, path)
    assert status == 400
    assert '"code":3' in text


async def test_the_gateway_learns_the_peers_address_from_envoy_alone(front_door: str) -> None:
    _, head = await handshake(front_door, "/ocpp/CP-1")
    (line,) = [line for line in head.lower().splitlines() if line.startswith("x-remote-address:")]
    assert line.startswith("x-remote-address: 127.0.0.1:")


@pytest.mark.parametrize("path", ["/v1/chargePoints/CP-1", "/", "/docs", "/elsewhere"])
async def test_a_wrong_url_is_left_to_the_gateway_to_refuse(front_door: str, path: str) -> None:
    _, head = await handshake(front_door, path)
    assert f"GET {path} HTTP/1.1" in head


async def test_the_root_leads_to_the_documentation(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("/", follow_redirects=False)
    assert answer.status_code == 301
    assert answer.headers["location"].endswith("/docs")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chargePoints/CP-1", "chargePoints/CP-1"),
        ("/v1/chargePoints/A%20B", "chargePoints/A B"),
        ("/v1/chargePoints/A%2FB", "chargePoints/A/B"),
        ("/v1/chargePoints/100%25", "chargePoints/100%"),
        ("/v1/chargePoints/%252F", "chargePoints/%2F"),
        ("/v1/chargePoints/A+B", "chargePoints/A+B"),
    ],
)
async def test_rest_decodes_identities_once(rest: httpx.AsyncClient, path: str, name: str) -> None:
    answer = await rest.get(path)
    assert answer.status_code == 200
    assert answer.json()["name"] == name


async def test_a_caller_says_in_the_query_how_long_to_wait(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("/v1/chargePoints/CP-1/commands/1", params={"wait": "300s"})
    assert answer.json()["answerTimeout"] == "300s"


async def test_a_watch_sends_each_change_as_a_line_at_once(rest: httpx.AsyncClient) -> None:
    async with rest.stream("GET", "/v1/chargePoints/CP-1/commands/1:watch") as answer:
        line = await anext(answer.aiter_lines())
    assert json.loads(line)["name"] == "chargePoints/CP-1/commands/1"


async def test_the_errors_of_services_keep_their_details(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("/v1/chargePoints/unknown")
    assert answer.status_code == 404
    (detail,) = answer.json()["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert detail["reason"] == "CHARGE_POINT_NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/elsewhere", None, 404, NOT_FOUND),
        ("GET", "/v1/nothing", None, 404, NOT_FOUND),
        ("PUT", "/v1/chargePoints/CP-1", None, 404, NOT_FOUND),
        ("GET", "/docs/other", None, 404, NOT_FOUND),
        ("POST", "/csms.v1.ChargePointService/GetChargePoint", "{}", 404, NOT_FOUND),
        ("POST", "/csms.gateway.v1.AdmissionService/Admit", "{}", 404, NOT_FOUND),
        ("GET", "/v1/chargePoints?nope=1", None, 400, INVALID_ARGUMENT),
        ("GET", "/v1/chargePoints?pageSize=many", None, 400, INVALID_ARGUMENT),
        ("POST", "/v1/chargePoints?chargePointId=A", '{"displayName":', 400, INVALID_ARGUMENT),
        ("POST", "/v1/chargePoints?chargePointId=A", "[]", 400, INVALID_ARGUMENT),
        ("GET", "/v1/sessions/1", None, 503, UNAVAILABLE),
    ],
)
async def test_errors_of_envoy_have_the_shape_of_a_status(
    rest: httpx.AsyncClient, method: str, path: str, body: str | None, status: int, code: int
) -> None:
    answer = await rest.request(method, path, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()
    assert (error["code"], error["details"]) == (code, [])
    assert error["message"]


async def test_grpc_is_served_on_the_same_port(channel: grpc.aio.Channel) -> None:
    stub = charge_points_grpc.ChargePointServiceStub(channel)
    request = charge_points.GetChargePointRequest(name="chargePoints/CP-1")
    assert (await stub.GetChargePoint(request)).name == "chargePoints/CP-1"


async def test_grpc_callers_get_a_plain_status(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sessions_grpc.SessionServiceStub(channel).GetSession(sessions.GetSessionRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "{" not in (caught.value.details() or "")


async def test_only_the_public_services_are_reachable(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("path", "kind", "holds"),
    [
        ("/openapi.json", "application/json", '"openapi": "3.0.3"'),
        ("/docs", "text/html; charset=utf-8", "/docs/page.js"),
        ("/docs/page.js", "text/javascript; charset=utf-8", "/openapi.json"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", "SwaggerUIBundle"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8", ".swagger-ui"),
        ("/healthz", None, "GET /healthz HTTP/1.1"),
    ],
)
async def test_documentation_and_health_are_served(
    rest: httpx.AsyncClient, path: str, kind: str | None, holds: str
) -> None:
    answer = await rest.get(path)
    assert answer.status_code == 200
    assert answer.headers.get("content-type") == kind
    assert holds in answer.text


async def test_a_request_id_is_kept_and_returned(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("/v1/chargePoints/CP-1", headers={"x-request-id": "my-own-id"})
    assert answer.headers["x-request-id"] == "my-own-id"


async def test_the_access_log_holds_no_query_and_no_credentials(
    parts: Parts, rest: httpx.AsyncClient
) -> None:
    headers = {"authorization": "Basic c2VjcmV0", "x-request-id": "find-me"}
    await rest.get("/v1/chargePoints/CP-7?nope=s3cret", headers=headers)
    log = parts.settings.data / "logs" / "envoy.log"
    await until(lambda: "find-me" in log.read_text())
    text = log.read_text()
    assert "/v1/chargePoints/CP-7" in text
    assert "s3cret" not in text
    assert "c2VjcmV0" not in text
