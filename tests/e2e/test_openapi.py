"""The OpenAPI document says what the API does, and the API keeps to it whatever it is sent."""

import asyncio
import copy
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import OpenAPIV30SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from csms.v1 import (
    charge_point_service_pb2,
    command_service_pb2,
    id_tag_service_pb2,
    session_service_pb2,
)
from deploy import openapi, protos
from deploy.embedded import Platform
from tests.support.charge_points import ocpp_now, raw_charge_point
from tests.support.platform import assert_no_traceback
from tests.support.rest import Rest

EXAMPLES = 15
METHODS = {
    f"{service.name}_{method.name}": method
    for module in (
        charge_point_service_pb2,
        command_service_pb2,
        id_tag_service_pb2,
        session_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
OPERATIONS = [name for name, method in METHODS.items() if not method.server_streaming]
"""What answers once; a watch has no end that generated requests could wait for."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="session")
async def document(rest: Rest) -> Any:
    """The document as it is served."""
    return await rest.get("/openapi.json")


def test_the_document_is_valid(document: Any) -> None:
    OpenAPIV30SpecValidator(document).validate()


def test_the_document_is_the_one_that_the_protos_make(document: Any, tmp_path: Path) -> None:
    protos.write_descriptor_set(tmp_path / "csms.binpb")
    descriptors = FileDescriptorSet.FromString((tmp_path / "csms.binpb").read_bytes())
    assert document == openapi.openapi(descriptors)


def test_the_document_holds_every_operation(document: Any) -> None:
    operations = [item for path in document["paths"].values() for item in path.values()]
    ids = [item["operationId"] for item in operations]
    assert len(set(ids)) == len(ids)
    assert {re.sub(r"_\d+$", "", name) for name in ids} == set(METHODS)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/page.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
        ("/openapi.json", "application/json"),
    ],
)
async def test_the_pages_are_served(platform: Platform, path: str, content_type: str) -> None:
    async with httpx.AsyncClient(base_url=platform.rest_url, trust_env=False) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    assert len(answer.content) > 100


async def test_the_page_loads_nothing_from_elsewhere(platform: Platform) -> None:
    async with httpx.AsyncClient(base_url=platform.rest_url, trust_env=False) as client:
        page = await client.get("/docs")
        used = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
        assert used
        for path in used:
            assert (await client.get(path)).status_code == 200
        script = (await client.get("/docs/page.js")).text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "://" not in page.text + script
    assert 'url: "/openapi.json"' in script


@pytest.fixture(scope="session")
async def known(platform: Platform, rest: Rest) -> AsyncIterator[dict[str, str]]:
    """Ids of what there is, by path parameter."""
    async with raw_charge_point(platform.ocpp_url, "FUZZ") as station:
        await station.boot()
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        await station.call("StatusNotification", status)
        start = {"connectorId": 1, "idTag": "F", "meterStart": 0, "timestamp": ocpp_now()}
        await station.call("StartTransaction", start)
        session = (await rest.sessions_of("FUZZ"))[0]["name"].removeprefix("sessions/")
        stop = {"transactionId": 4711, "meterStop": 0, "timestamp": ocpp_now()}
        await station.call("StopTransaction", stop)
        page = await rest.get("/v1/quarantine", chargePoint="chargePoints/FUZZ")
        yield {
            "chargePoint": "FUZZ",
            "connector": "1",
            "session": session,
            "quarantineEntry": page["quarantineEntries"][0]["name"].removeprefix("quarantine/"),
        }


async def ids_for(operation: str, rest: Rest, known: dict[str, str]) -> dict[str, str]:
    """Return ids for which an operation succeeds; what it may change or delete is its own."""
    own = f"F-{OPERATIONS.index(operation)}"
    await rest.add_id_tag(own)
    ids = known | {"idTag": own, "idTagId": f"{own}-NEW", "chargePointId": f"{own}-NEW"}
    if operation.endswith(("DeleteChargePoint", "UpdateChargePoint")):
        await rest.post("/v1/chargePoints", {}, chargePointId=own)
        ids["chargePoint"] = own
    if operation.endswith(("_GetCommand", "_ListCommands", "_CancelCommand")):
        await rest.post("/v1/chargePoints", {}, chargePointId=own)
        waiting = {"clearCache": {}, "deliverWhenOnline": True}
        command = await rest.post(f"/v1/chargePoints/{own}/commands", waiting)
        ids |= {"chargePoint": own, "command": command["name"].rpartition("/")[2]}
    return ids


def narrowed(document: Any, ids: dict[str, str]) -> Any:
    """Return the document with ids that exist, and without what only fits what came before."""
    result = copy.deepcopy(document)
    for path in result["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                name = parameter["name"]
                if name in ids:
                    parameter["schema"] = {"type": "string", "enum": [ids[name]]}
            operation["parameters"] = [
                item for item in operation["parameters"] if item["in"] == "path" or item["required"]
            ]
            narrow_body(operation)
    for schema in result["components"]["schemas"].values():
        for name in ("etag", "parent", "displayName", "heartbeatInterval", "maxActiveTransactions"):
            schema.get("properties", {}).pop(name, None)
    return result


def narrow_body(operation: Any) -> None:
    """Ask for what can succeed: a command, or the start or stop of a session, at once.

    A quarantine entry is resolved without a session: one that has ended takes no stop.
    """
    if operation["operationId"].endswith("CreateCommand"):
        body = {"type": "object", "enum": [{"clearCache": {}}]}
        operation["requestBody"]["content"]["application/json"]["schema"] = body
    if operation["operationId"].endswith("ResolveQuarantineEntry"):
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        body["properties"].pop("session", None)
    if operation["operationId"].endswith(("StartSession", "StopSession")):
        fields = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
        for name in ("chargingProfile", "connectorId", "requestId", "wait"):
            fields.pop(name, None)
        if "idTag" in fields:
            fields["idTag"] = {"type": "string", "enum": ["idTags/F"]}


def exercise(document: Any, operation_id: str, mode: GenerationMode, url: str) -> Counter[int]:
    """Send generated requests and return how often each status was answered."""
    schema = schemathesis.openapi.from_dict(document)
    operation = schema.find_operation_by_id(operation_id)
    statuses: Counter[int] = Counter()
    with requests.Session() as session:
        session.trust_env = False

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            answer = case.call(base_url=url, session=session)
            statuses[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        run()
    return statuses


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_operation_keeps_to_the_document(
    platform: Platform, rest: Rest, document: Any, known: dict[str, str], operation: str
) -> None:
    url, positive = platform.rest_url, GenerationMode.POSITIVE
    answered = await asyncio.to_thread(exercise, document, operation, positive, url)
    assert set(answered) <= {200, 400, 404, 409}
    ids = await ids_for(operation, rest, known)
    answered = await asyncio.to_thread(exercise, narrowed(document, ids), operation, positive, url)
    assert answered[200], f"never succeeded: {dict(answered)}"
    assert_no_traceback(platform)


def is_restricted(document: Any, operation_id: str) -> bool:
    """Tell whether there is anything that could break the rules: any text may stand in a path."""
    operations = [item for path in document["paths"].values() for item in path.values()]
    [operation] = [item for item in operations if item["operationId"] == operation_id]
    in_query = [item for item in operation["parameters"] if item["in"] == "query"]
    return bool(in_query) or "requestBody" in operation


# The generator of wrong values uses `random` itself, which Hypothesis does not like.
@pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_requests_against_the_document_are_refused(
    platform: Platform, document: Any, operation: str
) -> None:
    if is_restricted(document, operation):
        negative, url = GenerationMode.NEGATIVE, platform.rest_url
        answered = await asyncio.to_thread(exercise, document, operation, negative, url)
        assert answered[400] > answered[200]
    assert_no_traceback(platform)
