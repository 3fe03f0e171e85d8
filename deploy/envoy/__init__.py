"""Envoy's configuration: the template `envoy.yaml`, filled in for one installation."""

import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import swagger_ui_bundle

HERE = Path(__file__).parent

# HTTP statuses that Envoy answers with by itself, as google.rpc.Code (google/rpc/code.proto).
RPC_CODES = {
    400: 3,  # INVALID_ARGUMENT
    401: 16,  # UNAUTHENTICATED
    403: 7,  # PERMISSION_DENIED
    404: 5,  # NOT_FOUND
    405: 12,  # UNIMPLEMENTED
    408: 4,  # DEADLINE_EXCEEDED
    409: 10,  # ABORTED
    413: 3,  # INVALID_ARGUMENT: the body is too large
    415: 3,
    426: 9,  # FAILED_PRECONDITION: a newer protocol is required
    429: 8,  # RESOURCE_EXHAUSTED
    431: 3,  # INVALID_ARGUMENT: the headers are too large
    500: 13,  # INTERNAL
    501: 12,
    502: 14,  # UNAVAILABLE
    503: 14,
    504: 4,
}
UNKNOWN = 2

MESSAGES = {
    403: "WebSockets are served under /ocpp/{charge_point_id} only.",
    503: "The service is not reachable; try again shortly. (%LOCAL_REPLY_BODY%)",
    504: "The service did not answer in time; try again. (%LOCAL_REPLY_BODY%)",
}


@dataclass(frozen=True, kw_only=True)
class EnvoyConfig:
    """What differs between installations."""

    descriptor_set: Path
    """FileDescriptorSet of csms.v1 and of google.rpc's error details, with imports."""
    openapi: Path
    """The OpenAPI document that /openapi.json answers with."""
    gateways: tuple[str, ...]
    """Addresses (host:port) of the gateways."""
    device_services: tuple[str, ...]
    """Addresses of the replicas of device_service."""
    session_service: str
    auth_service: str
    host: str = "127.0.0.1"
    port: int = 8080
    admin_port: int = 9901
    """Port of Envoy's admin interface, always on the loopback interface."""
    max_connections: int = 20_000
    """How many connections of charge points and clients are held at the same time."""
    node_id: str = "envoy"


def render(config: EnvoyConfig) -> str:
    """Return the YAML document that `envoy -c` reads."""
    swagger_ui = Path(str(swagger_ui_bundle.swagger_ui_path))
    values: dict[str, Any] = {
        "node_id": config.node_id,
        "host": config.host,
        "port": config.port,
        "admin_port": config.admin_port,
        "max_connections": config.max_connections,
        "descriptor_set": str(config.descriptor_set),
        "openapi": str(config.openapi),
        "docs_page": str(HERE / "docs" / "index.html"),
        "docs_script": str(HERE / "docs" / "page.js"),
        "swagger_ui_script": str(swagger_ui / "swagger-ui-bundle.js"),
        "swagger_ui_style": str(swagger_ui / "swagger-ui.css"),
        "gateway_endpoints": _endpoints(*config.gateways),
        "device_endpoints": _endpoints(*config.device_services),
        "session_endpoints": _endpoints(config.session_service),
        "auth_endpoints": _endpoints(config.auth_service),
        "local_reply_mappers": _local_reply_mappers(),
    }
    template = Template((HERE / "envoy.yaml").read_text(encoding="utf-8"))
    return template.substitute({name: json.dumps(value) for name, value in values.items()})


def _endpoints(*addresses: str) -> list[dict[str, Any]]:
    return [_endpoint(*address.rsplit(":", 1)) for address in addresses]


def _endpoint(host: str, port: str) -> dict[str, Any]:
    address = {"socket_address": {"address": host, "port_value": int(port)}}
    return {"endpoint": {"address": address}}


def _local_reply_mappers() -> list[dict[str, Any]]:
    """Return how Envoy's own replies are worded; the first mapper that fits is used."""
    plain = {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}}
    for_grpc = {"filter": _grpc_request(), "body_format_override": plain}
    known = [
        _as_json(_status("EQ", status), code, MESSAGES.get(status, "%LOCAL_REPLY_BODY%"))
        for status, code in RPC_CODES.items()
    ]
    return [for_grpc, *known, _as_json(_status("GE", 400), UNKNOWN, "%LOCAL_REPLY_BODY%")]


def _grpc_request() -> dict[str, Any]:
    """Return what tells callers that speak gRPC from those whose request was transcoded."""
    grpc = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    not_transcoded = {"name": "x-envoy-original-path", "present_match": True, "invert_match": True}
    filters = [{"header_filter": {"header": header}} for header in (grpc, not_transcoded)]
    return {"and_filter": {"filters": filters}}


def _status(operator: str, status: int) -> dict[str, Any]:
    # Envoy wants a key by which an operator could change the figure at run time.
    value = {"default_value": status, "runtime_key": f"local_reply.{operator.lower()}_{status}"}
    return {"status_code_filter": {"comparison": {"op": operator, "value": value}}}


def _as_json(status: dict[str, Any], code: int, message: str) -> dict[str, Any]:
    body = {"code": code, "message": message, "details": []}
    return {"filter": status, "body_format_override": {"json_format": body}}
