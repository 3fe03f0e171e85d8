"""What operators are told when they ask for what is not there, or ask in the wrong way."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import grpc
import pytest

from csms.v1 import charge_point_service_pb2 as charge_point_pb
from csms.v1 import charge_point_service_pb2_grpc as charge_point_grpc
from csms.v1 import id_tag_service_pb2 as id_tag_pb
from csms.v1 import id_tag_service_pb2_grpc as id_tag_grpc
from csms.v1 import session_service_pb2 as session_pb
from csms.v1 import session_service_pb2_grpc as session_grpc
from deploy.embedded import Platform
from servicekit.grpc_client import open_channel
from tests.support.errors import RpcFailure, failure
from tests.support.platform import assert_no_traceback
from tests.support.rest import Rest

INVALID_ARGUMENT, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
RPC_CODES = {400: (3, 9), 404: (5,), 409: (6, 10)}
NO_SESSION = "sessions/0190a7c2-0000-7000-8000-000000000000"
MANY = "x" * 5000


@dataclass(frozen=True)
class Ask:
    """A request and what is wrong with it: an ErrorInfo reason, the fields that are wrong.

    Errors of Envoy, which sees a request before the services do, have no reason.
    """

    request: str
    status: int
    reason: str = ""
    fields: tuple[str, ...] = ()
    body: str | None = None
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        return (self.name or f"{self.request} {self.body or ''}")[:80]


INVALID, BAD_TOKEN = "INVALID_REQUEST", "INVALID_PAGE_TOKEN"
ASKS = [
    # nothing of this name
    Ask(f"GET /v1/{NO_SESSION}", 404, "SESSION_NOT_FOUND"),
    Ask(f"GET /v1/{NO_SESSION}/meterValues", 404, "SESSION_NOT_FOUND"),
    Ask("GET /v1/idTags/NOBODY", 404, "ID_TAG_NOT_FOUND"),
    Ask("PATCH /v1/idTags/NOBODY?updateMask=blocked", 404, "ID_TAG_NOT_FOUND", body="{}"),
    Ask("DELETE /v1/idTags/NOBODY", 404, "ID_TAG_NOT_FOUND"),
    Ask("GET /v1/chargePoints/NOBODY", 404, "CHARGE_POINT_NOT_FOUND"),
    Ask("PATCH /v1/chargePoints/NOBODY", 404, "CHARGE_POINT_NOT_FOUND", body="{}"),
    Ask("DELETE /v1/chargePoints/NOBODY", 404, "CHARGE_POINT_NOT_FOUND"),
    Ask("POST /v1/chargePoints/NOBODY:accept", 404, "CHARGE_POINT_NOT_FOUND", body="{}"),
    Ask("POST /v1/chargePoints/NOBODY:reject", 404, "CHARGE_POINT_NOT_FOUND", body=""),
    Ask("GET /v1/chargePoints/NOBODY/connectors", 404, "CHARGE_POINT_NOT_FOUND"),
    Ask("GET /v1/chargePoints/NOBODY/notices", 404, "CHARGE_POINT_NOT_FOUND"),
    Ask("GET /v1/chargePoints/NOBODY/connectors/1", 404, "CONNECTOR_NOT_FOUND"),
    # names that cannot be
    Ask("GET /v1/sessions/1", 400, INVALID, ("name",)),
    Ask("GET /v1/chargePoints/-", 400, INVALID, ("name",)),
    Ask("GET /v1/chargePoints/%20", 404, "CHARGE_POINT_NOT_FOUND"),
    Ask("GET /v1/chargePoints/A%2FB", 400, INVALID, ("name",)),
    Ask("GET /v1/chargePoints/A%23B%3FC%25", 404, "CHARGE_POINT_NOT_FOUND"),
    Ask("GET /v1/chargePoints/%00", 400, INVALID, ("name",)),
    Ask("GET /v1/chargePoints/%C3%A4", 400, INVALID, ("name",)),
    Ask("GET /v1/chargePoints/%FF", 400, INVALID, ("request",)),
    Ask(f"GET /v1/chargePoints/{MANY}", 400, INVALID, ("name",), name="a long identity"),
    Ask("GET /v1/chargePoints//connectors", 400, INVALID, ("parent",)),
    Ask("GET /v1/chargePoints/A/connectors/one", 400, INVALID, ("name",)),
    Ask("GET /v1/chargePoints/A/connectors/99999999999", 400, INVALID, ("name",)),
    Ask("GET /v1/idTags/123456789012345678901", 400, INVALID, ("name",)),
    Ask("GET /v1/idTags/%ED%A0%80", 400, INVALID, ("request",)),
    # lists
    Ask("GET /v1/sessions?pageSize=-1", 400, INVALID, ("page_size",)),
    Ask("GET /v1/idTags?pageSize=-2147483648", 400, INVALID, ("page_size",)),
    Ask("GET /v1/idTags?pageSize=2147483648", 400),
    Ask("GET /v1/chargePoints?pageSize=many", 400),
    Ask("GET /v1/chargePoints?state=STATE_BROKEN", 400),
    Ask("GET /v1/sessions?state=99", 400),
    Ask("GET /v1/chargePoints?online=perhaps", 400),
    Ask("GET /v1/sessions?pageToken=nonsense", 400, BAD_TOKEN),
    Ask("GET /v1/sessions?pageToken=%00", 400, BAD_TOKEN),
    Ask("GET /v1/idTags?pageToken=Ww", 400, BAD_TOKEN),
    Ask("GET /v1/quarantine?pageToken=%C3%A9", 400, BAD_TOKEN),
    Ask("GET /v1/refusedHandshakes?pageToken=W10", 400, BAD_TOKEN),
    Ask(f"GET /v1/chargePoints?pageToken={MANY}", 400, BAD_TOKEN, name="a long page token"),
    Ask("GET /v1/sessions?colour=red", 400),
    Ask("GET /v1/sessions?startTimeFrom=yesterday", 400),
    Ask("GET /v1/sessions?startTimeFrom=10000-01-01T00:00:00Z", 400),
    Ask("GET /v1/sessions?chargePoint=A", 400, INVALID, ("charge_point",)),
    Ask("GET /v1/sessions?chargePoint=chargePoints/%00", 400, INVALID, ("charge_point",)),
    Ask("GET /v1/sessions?idTag=idTags/%FF", 400, INVALID, ("request",)),
    Ask("GET /v1/chargePoints/-/notices?action=a1", 400, INVALID, ("action",)),
    Ask(
        "GET /v1/sessions?pageSize=-1&chargePoint=A&idTag=B",
        400,
        INVALID,
        ("page_size", "charge_point", "id_tag"),
    ),
    # bodies
    Ask("POST /v1/idTags?idTagId=A", 400, body='{"blocked":'),
    Ask("POST /v1/idTags?idTagId=A", 400, body="no JSON"),
    Ask("POST /v1/idTags?idTagId=A", 400, body="[]"),
    Ask("POST /v1/idTags?idTagId=A", 400, body='{"blocked":"perhaps"}'),
    Ask("POST /v1/idTags?idTagId=A", 400, body='{"maxActiveTransactions":1e30}'),
    Ask("POST /v1/idTags?idTagId=A", 400, body='{"expireTime":"10000-01-01T00:00:00Z"}'),
    Ask("POST /v1/idTags?idTagId=A", 400, body=r'{"displayName":"\ud800"}'),
    Ask(
        "POST /v1/idTags?idTagId=A",
        400,
        INVALID,
        ("id_tag.display_name",),
        body=r'{"displayName":"a\u0000b"}',
    ),
    Ask("POST /v1/idTags", 400, INVALID, ("id_tag_id",), body="{}"),
    Ask(
        "POST /v1/idTags?idTagId=A%2FB",
        400,
        INVALID,
        ("id_tag_id", "id_tag.parent", "id_tag.max_active_transactions", "id_tag.display_name"),
        body=r'{"parent":"X","maxActiveTransactions":-1,"displayName":"\n"}',
    ),
    Ask(
        "POST /v1/chargePoints?chargePointId=-",
        400,
        INVALID,
        ("charge_point_id", "charge_point.display_name", "charge_point.heartbeat_interval"),
        body=json.dumps({"displayName": "x" * 201, "heartbeatInterval": "315576000000s"}),
    ),
    Ask("POST /v1/chargePoints?chargePointId=A", 400, body='{"heartbeatInterval":"soon"}'),
    Ask("PATCH /v1/idTags/A?updateMask=name", 400, INVALID, ("update_mask",), body="{}"),
    Ask(
        "PATCH /v1/chargePoints/A?updateMask=colour,state",
        400,
        INVALID,
        ("update_mask", "update_mask"),
        body="{}",
    ),
    # no such thing as this
    Ask("GET /v1/unicorns", 404),
    Ask("GET /v2/sessions", 404),
    Ask("GET /v1/chargePoints/A/B/C", 404),
    Ask("GET /v1/chargePoints/A:accept", 404),
    Ask("PUT /v1/idTags/A", 404, body="{}"),
    Ask("DELETE /v1/idTags", 404),
    Ask("POST /v1/sessions", 404, body="{}"),
]


async def send(rest: Rest, ask: Ask) -> Any:
    method, _, path = ask.request.partition(" ")
    headers = {"content-type": "application/json"} if ask.body is not None else {}
    return await rest.request(method, path, expect=ask.status, content=ask.body, headers=headers)


def details_of(error: Any) -> tuple[str, tuple[str, ...]]:
    """Return the reason and the fields of an error, which is a google.rpc.Status as JSON."""
    assert set(error) == {"code", "message", "details"}
    assert error["message"]
    details = {item["@type"].rpartition(".")[2]: item for item in error["details"]}
    info = details.get("ErrorInfo", {"reason": "", "domain": "csms"})
    assert info["domain"] == "csms"
    violations = details.get("BadRequest", {"fieldViolations": []})["fieldViolations"]
    assert all(item["description"] for item in violations)
    return info["reason"], tuple(item["field"] for item in violations)


@pytest.mark.parametrize("ask", ASKS, ids=str)
async def test_a_request_that_fails_says_why(platform: Platform, rest: Rest, ask: Ask) -> None:
    error = await send(rest, ask)
    assert error["code"] in RPC_CODES[ask.status]
    assert details_of(error) == (ask.reason, ask.fields)
    assert_no_traceback(platform)


async def test_what_exists_is_not_created_again(rest: Rest) -> None:
    await rest.add_id_tag("TWICE")
    error = await rest.post("/v1/idTags", {}, expect=409, idTagId="twice")
    assert (error["code"], details_of(error)[0]) == (6, "ID_TAG_ALREADY_EXISTS")
    await rest.post("/v1/chargePoints", {}, chargePointId="TWICE")
    error = await rest.post("/v1/chargePoints", {}, expect=409, chargePointId="TWICE")
    assert (error["code"], details_of(error)[0]) == (6, "CHARGE_POINT_ALREADY_EXISTS")


@pytest.mark.parametrize(
    ("collection", "parameter"), [("idTags", "idTagId"), ("chargePoints", "chargePointId")]
)
async def test_updates_change_what_they_name(rest: Rest, collection: str, parameter: str) -> None:
    path = f"/v1/{collection}/UPDATED"
    created = await rest.request(
        "POST", f"/v1/{collection}", params={parameter: "UPDATED"}, json={"displayName": "a"}
    )
    body = {"displayName": "b", "etag": created["etag"]}
    changed = await rest.request("PATCH", path, json=body)
    assert (changed["displayName"], changed["etag"] == created["etag"]) == ("b", False)
    error = await rest.request("PATCH", path, json=body, expect=409)
    assert (error["code"], details_of(error)[0]) == (10, "ETAG_MISMATCH")
    masked = {"displayName": "c", "blocked": True, "subprotocolOptional": True}
    only_name = {"updateMask": "displayName"}
    changed = await rest.request("PATCH", path, params=only_name, json=masked)
    assert changed["displayName"] == "c"
    assert True not in (changed.get("blocked"), changed.get("subprotocolOptional"))
    cleared = await rest.request("PATCH", path, params=only_name, json={})
    assert cleared == await rest.get(path)
    assert cleared["displayName"] == ""


@pytest.mark.parametrize("identity", ["a b", "#?%", "%2F", "a+b&c=d", "~:;,.!*'()@$[]", '\\"<>^`'])
async def test_ids_of_odd_characters_are_kept_byte_for_byte(rest: Rest, identity: str) -> None:
    created = await rest.post("/v1/chargePoints", {}, chargePointId=identity)
    assert created["name"] == f"chargePoints/{identity}"
    path = f"/v1/chargePoints/{quote(identity, safe='')}"
    assert (await rest.get(path))["name"] == created["name"]
    assert (await rest.get(f"{path}/connectors"))["connectors"] == []
    assert (await rest.post(f"{path}:reject"))["state"] == "STATE_REJECTED"
    await rest.request("DELETE", path)
    await rest.get(path, expect=404)


async def test_a_page_token_with_another_key_in_it_is_refused(rest: Rest) -> None:
    for text in ("PAGE-1", "PAGE-2"):
        await rest.add_id_tag(text)
        await rest.post("/v1/chargePoints", {}, chargePointId=text)
    for path in ("/v1/idTags", "/v1/chargePoints"):
        token = (await rest.get(path, pageSize=1))["nextPageToken"]
        filters, *key = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        for time in ("", "junk", "2026-13-45T00:00:00Z", "9" * 400):
            forged = base64.urlsafe_b64encode(json.dumps([filters, time, *key[1:]]).encode())
            error = await rest.get(path, pageToken=forged.decode(), expect=400)
            assert details_of(error)[0] == BAD_TOKEN


async def test_a_large_page_is_cut_to_the_limit(rest: Rest) -> None:
    assert "sessions" in await rest.get("/v1/sessions", pageSize=2**31 - 1)


async def test_the_same_errors_are_told_over_grpc(platform: Platform) -> None:
    channel = open_channel(platform.rest_url.removeprefix("http://"))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await charge_point_grpc.ChargePointServiceStub(channel).GetChargePoint(
            charge_point_pb.GetChargePointRequest(name="chargePoints/NOBODY")
        )
    assert failure(raised) == RpcFailure(NOT_FOUND, "CHARGE_POINT_NOT_FOUND", ())
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await session_grpc.SessionServiceStub(channel).ListSessions(
            session_pb.ListSessionsRequest(
                page_size=-1, charge_point="A", state=session_pb.Session.State.ValueType(99)
            )
        )
    fields = ("page_size", "charge_point", "state")
    assert failure(raised) == RpcFailure(INVALID_ARGUMENT, INVALID, fields)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await id_tag_grpc.IdTagServiceStub(channel).ListIdTags(
            id_tag_pb.ListIdTagsRequest(page_token="W10")
        )
    assert failure(raised) == RpcFailure(INVALID_ARGUMENT, BAD_TOKEN, ())
    await channel.close()


def as_it_is(data: bytes) -> bytes:
    return data


async def test_bytes_that_are_no_message_are_refused_over_grpc(platform: Platform) -> None:
    channel = open_channel(platform.rest_url.removeprefix("http://"))
    get = channel.unary_unary("/csms.v1.IdTagService/GetIdTag", as_it_is, as_it_is)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await get(b"\x0a\x02\xff\xfe")
    assert failure(raised) == RpcFailure(INVALID_ARGUMENT, INVALID, ("request",))
    unknown = channel.unary_unary("/csms.v1.IdTagService/Frobnicate", as_it_is, as_it_is)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await unknown(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await channel.close()
    assert_no_traceback(platform)
