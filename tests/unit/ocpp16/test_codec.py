"""JSON -> protobuf -> JSON is the identity for every payload that fits its schema."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.ocpp.v16 import core_pb2, smart_charging_pb2, types_pb2
from csms.ocpp.v16.central_system_call_pb2 import CentralSystemCall
from csms.ocpp.v16.charge_point_call_pb2 import ChargePointAnswer
from gateway.ocppj.actions import CENTRAL_SYSTEM_ACTIONS, CHARGE_POINT_ACTIONS
from ocpp16.codec import Codec, CodecError, EnvelopeCodec, Json, UnknownActionError

CODEC = Codec()
CODECS: dict[str, EnvelopeCodec[Any]] = {
    "charge point calls": CODEC.charge_point_calls,
    "charge point answers": CODEC.charge_point_answers,
    "central system calls": CODEC.central_system_calls,
    "central system answers": CODEC.central_system_answers,
}
WIDE = {"transactionId", "meterStart", "meterStop"}


def load_schema(action: str, codec: str) -> Json:
    suffix = "Response" if codec.endswith("answers") else ""
    path = files("ocpp.v16").joinpath("schemas", f"{action}{suffix}.json")
    schema: Json = json.loads(path.read_text("utf-8-sig"))
    return schema


def times() -> st.SearchStrategy[str]:
    """Times in the one form that goes out, over all years that a message can hold."""
    return st.datetimes().map(lambda moment: f"{moment.replace(microsecond=0).isoformat()}Z")


def values(schema: Json, root: Json, member: str = "") -> st.SearchStrategy[Any]:
    """Values that fit a schema, of the few kinds that the OCPP schemas use."""
    if "$ref" in schema:
        return values(root["definitions"][schema["$ref"].rpartition("/")[2]], root, member)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return {
        "object": lambda: objects(schema, root),
        "array": lambda: lists(schema, root),
        "string": lambda: strings(schema),
        "integer": lambda: integers(member),
        "number": lambda: st.integers(-(10**6), 10**6).map(lambda tenths: tenths / 10),
        "boolean": st.booleans,
    }[schema["type"]]()


def objects(schema: Json, root: Json) -> st.SearchStrategy[Json]:
    members = {name: values(of, root, name) for name, of in schema.get("properties", {}).items()}
    required = {name: members.pop(name) for name in schema.get("required", [])}
    return st.fixed_dictionaries(required, optional=members)


def lists(schema: Json, root: Json) -> st.SearchStrategy[list[Any]]:
    # Protobuf cannot tell an empty optional list from an absent one, so none is empty here.
    return st.lists(values(schema["items"], root), min_size=1, max_size=4)


def strings(schema: Json) -> st.SearchStrategy[str]:
    match schema.get("format"):
        case "date-time":
            return times()
        case "uri":
            return st.sampled_from(["ftp://user:secret@files.example/logs", "https://a.example"])
    return st.text(st.characters(codec="utf-8"), max_size=min(schema.get("maxLength", 99), 99))


def integers(member: str) -> st.SearchStrategy[int]:
    limit = 2 ** (63 if member in WIDE else 31)
    return st.integers(-limit, limit - 1)


CASES = [(name, action) for name, codec in CODECS.items() for action in sorted(codec.actions)]


@pytest.mark.parametrize(("name", "action"), CASES)
def test_json_to_protobuf_to_json_is_the_identity(name: str, action: str) -> None:
    schema = load_schema(action, name)
    validator = jsonschema_rs.validator_for(schema)

    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(values(schema, schema))
    def identity(payload: Json) -> None:
        validator.validate(payload)
        message = CODECS[name].decode(action, payload)
        again = type(message).FromString(message.SerializeToString())
        assert CODECS[name].encode(action, again) == payload

    identity()


def test_the_codec_knows_the_actions_of_both_sides() -> None:
    assert CODEC.charge_point_actions == CHARGE_POINT_ACTIONS
    assert CODEC.central_system_actions == CENTRAL_SYSTEM_ACTIONS
    assert CODEC.charge_point_answers.actions == CHARGE_POINT_ACTIONS
    assert CODEC.central_system_answers.actions == CENTRAL_SYSTEM_ACTIONS


def a_heartbeat_answer(seconds: int) -> ChargePointAnswer:
    response = core_pb2.HeartbeatResponse(current_time=Timestamp(seconds=seconds))
    return ChargePointAnswer(heartbeat=response)


def an_authorize_answer(**changes: Any) -> ChargePointAnswer:
    response = core_pb2.AuthorizeResponse(id_tag_info=types_pb2.IdTagInfo(**changes))
    return ChargePointAnswer(authorize=response)


def a_start(**changes: Any) -> Json:
    time = "2026-01-02T03:04:05Z"
    start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": time}
    return start | changes


def a_sample(**members: str) -> Json:
    time = "2026-01-02T03:04:05Z"
    samples = [{"value": "1"}, {"value": "2"} | members]
    return {"connectorId": 1, "meterValue": [{"timestamp": time, "sampledValue": samples}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02t03:04:05z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
        ("2026-01-02T03:04:05-09:30", "2026-01-02T12:34:05Z"),
        ("2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.000999999Z", "2026-01-02T03:04:05Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("1969-12-31T23:59:59.500Z", "1969-12-31T23:59:59Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_times_leave_as_utc_in_full_seconds(text: str, expected: str) -> None:
    message = CODEC.to_message("StartTransaction", a_start(timestamp=text))
    again = CODEC.charge_point_calls.encode("StartTransaction", message)
    assert again["timestamp"] == expected


def test_microseconds_of_a_charger_are_kept_in_the_message() -> None:
    call = CODEC.to_message("StartTransaction", a_start(timestamp="2026-01-02T03:04:05.123456Z"))
    received = call.start_transaction.timestamp.ToDatetime(UTC)
    assert received == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
        "2026-01-02T23:59:60Z",
        "2026-01-02T03:04:05",
        "yesterday",
    ],
)
def test_a_time_that_a_message_cannot_hold_is_named(text: str) -> None:
    with pytest.raises(CodecError) as caught:
        CODEC.to_message("StartTransaction", a_start(timestamp=text))
    assert caught.value.path == "timestamp"


@pytest.mark.parametrize("transaction", [2**63 - 1, -(2**63)])
def test_transaction_ids_have_64_bits(transaction: int) -> None:
    payload = {"transactionId": transaction, **a_sample()}
    assert CODEC.to_message("MeterValues", payload).meter_values.transaction_id == transaction


@pytest.mark.parametrize(
    ("action", "payload", "path"),
    [
        ("StartTransaction", a_start(meterStart=2**63), "meterStart"),
        ("StartTransaction", a_start(meterStart=-(2**63) - 1), "meterStart"),
        ("StartTransaction", a_start(connectorId=2**31), "connectorId"),
        ("MeterValues", a_sample(measurand="Noise"), "meterValue[0].sampledValue[1].measurand"),
        ("StatusNotification", {"errorCode": "Meltdown"}, "errorCode"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(action: str, payload: Json, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        CODEC.to_message(action, payload)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")


def test_an_integer_may_be_written_with_a_fraction_of_zero() -> None:
    call = CODEC.to_message("StartTransaction", a_start(connectorId=1.0))
    assert call.start_transaction.connector_id == 1


@pytest.mark.parametrize("payload", [a_start(idTag="\ud800"), a_start(colour="red")])
def test_what_the_message_refuses_is_a_codec_error(payload: Json) -> None:
    with pytest.raises(CodecError, match="does not fit into StartTransaction"):
        CODEC.to_message("StartTransaction", payload)


def test_the_payload_is_left_as_it_was() -> None:
    payload = a_sample(measurand="Voltage")
    CODEC.to_message("MeterValues", payload)
    assert payload == a_sample(measurand="Voltage")


def test_both_spellings_of_celsius_are_kept_apart() -> None:
    for word, unit in (
        ("Celcius", types_pb2.UNIT_OF_MEASURE_CELCIUS),
        ("Celsius", types_pb2.UNIT_OF_MEASURE_CELSIUS),
    ):
        call = CODEC.to_message("MeterValues", a_sample(unit=word))
        assert call.meter_values.meter_value[0].sampled_value[1].unit == unit


def test_members_stand_in_the_order_of_the_specification() -> None:
    start = core_pb2.RemoteStartTransactionRequest(id_tag="TAG", connector_id=1)
    start.charging_profile.valid_from.seconds = 0
    profile = start.charging_profile
    profile.charging_profile_purpose = types_pb2.CHARGING_PROFILE_PURPOSE_TYPE_TX_PROFILE
    profile.charging_profile_kind = types_pb2.CHARGING_PROFILE_KIND_TYPE_RELATIVE
    profile.charging_schedule.charging_rate_unit = types_pb2.CHARGING_RATE_UNIT_TYPE_A
    call = CentralSystemCall(remote_start_transaction=start)
    payload = CODEC.request_to_json("RemoteStartTransaction", call)
    assert json.dumps(payload, separators=(",", ":")) == (
        '{"connectorId":1,"idTag":"TAG","chargingProfile":{"chargingProfileId":0,"stackLevel":0,'
        '"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative",'
        '"validFrom":"1970-01-01T00:00:00Z",'
        '"chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[]}}}'
    )


def test_an_optional_zero_is_present_and_an_absent_one_is_not() -> None:
    request = smart_charging_pb2.ClearChargingProfileRequest
    zero = CentralSystemCall(clear_charging_profile=request(connector_id=0))
    assert CODEC.request_to_json("ClearChargingProfile", zero) == {"connectorId": 0}
    none = CentralSystemCall(clear_charging_profile=request())
    assert CODEC.request_to_json("ClearChargingProfile", none) == {}


def test_an_empty_list_is_absent_when_optional_and_present_when_required() -> None:
    keys = CentralSystemCall(get_configuration=core_pb2.GetConfigurationRequest())
    assert CODEC.request_to_json("GetConfiguration", keys) == {}
    call = CODEC.to_message("MeterValues", {"connectorId": 1, "meterValue": []})
    assert CODEC.charge_point_calls.encode("MeterValues", call)["meterValue"] == []


def test_the_answer_of_a_charge_point_is_decoded() -> None:
    answer = CODEC.to_answer("Reset", {"status": "Accepted"})
    assert answer.reset.status == core_pb2.RESET_STATUS_ACCEPTED


@pytest.mark.parametrize(
    ("action", "answer", "path"),
    [
        ("Heartbeat", ChargePointAnswer(heartbeat=core_pb2.HeartbeatResponse()), "currentTime"),
        ("Heartbeat", a_heartbeat_answer(2**40), "currentTime"),
        ("Authorize", an_authorize_answer(), "idTagInfo.status"),
        (
            "Authorize",
            an_authorize_answer(status=99),
            "idTagInfo.status",
        ),
        ("Authorize", a_heartbeat_answer(0), ""),
        ("Authorize", ChargePointAnswer(), ""),
    ],
)
def test_an_answer_that_cannot_be_sent_is_named(
    action: str, answer: ChargePointAnswer, path: str
) -> None:
    with pytest.raises(CodecError) as caught:
        CODEC.answer_to_json(action, answer)
    assert caught.value.path == path


UNKNOWN: list[Callable[[], Message | Json]] = [
    lambda: CODEC.to_message("Reset", {"type": "Hard"}),
    lambda: CODEC.to_answer("Heartbeat", {}),
    lambda: CODEC.answer_to_json("Explode", ChargePointAnswer()),
    lambda: CODEC.request_to_json("Explode", CentralSystemCall()),
]


@pytest.mark.parametrize("call", UNKNOWN)
def test_an_action_of_the_other_side_is_unknown(call: Callable[[], Message | Json]) -> None:
    with pytest.raises(UnknownActionError, match="has no action"):
        call()


def test_a_message_tells_its_action() -> None:
    call = CentralSystemCall(unlock_connector=core_pb2.UnlockConnectorRequest(connector_id=1))
    assert CODEC.central_system_calls.action_of(call) == "UnlockConnector"
    with pytest.raises(CodecError, match="holds no request"):
        CODEC.central_system_calls.action_of(CentralSystemCall())
