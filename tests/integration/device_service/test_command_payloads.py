"""Every request that a command can carry: stored as it was given, refused with all its faults."""

from __future__ import annotations  # the stubs have names that exist only for type checkers

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from csms.ocpp.v16 import (
    core_pb2,
    firmware_management_pb2,
    local_auth_list_pb2,
    remote_trigger_pb2,
    reservation_pb2,
    security_pb2,
    smart_charging_pb2,
    types_pb2,
)
from csms.ocpp.v16.central_system_call_pb2 import CentralSystemAnswer, CentralSystemCall
from csms.v1 import command_service_pb2 as pb
from ocpp16.codec import Codec
from ocpp16.schemas import Schemas
from tests.fakes.deliverer import Deliverer
from tests.integration.device_service.commands import Operator, id_of
from tests.integration.device_service.conftest import StartPlatform
from tests.support.errors import failure

TIME = Timestamp(seconds=1_900_000_000)
URL = "https://example.com/file"
PAYLOADS: dict[str, Any] = {
    "cancel_reservation": reservation_pb2.CancelReservationRequest(reservation_id=7),
    "change_availability": core_pb2.ChangeAvailabilityRequest(
        connector_id=0, type=core_pb2.AVAILABILITY_TYPE_INOPERATIVE
    ),
    "change_configuration": core_pb2.ChangeConfigurationRequest(key="HeartbeatInterval", value=""),
    "clear_cache": core_pb2.ClearCacheRequest(),
    "clear_charging_profile": smart_charging_pb2.ClearChargingProfileRequest(stack_level=0),
    "data_transfer": core_pb2.DataTransferRequest(vendor_id="org.example", data="ü"),
    "get_composite_schedule": smart_charging_pb2.GetCompositeScheduleRequest(
        connector_id=1, duration=3600
    ),
    "get_configuration": core_pb2.GetConfigurationRequest(key=["HeartbeatInterval"]),
    "get_diagnostics": firmware_management_pb2.GetDiagnosticsRequest(location=URL),
    "get_local_list_version": local_auth_list_pb2.GetLocalListVersionRequest(),
    "remote_start_transaction": core_pb2.RemoteStartTransactionRequest(id_tag="TAG-1"),
    "remote_stop_transaction": core_pb2.RemoteStopTransactionRequest(transaction_id=2**40),
    "reserve_now": reservation_pb2.ReserveNowRequest(
        connector_id=1, expiry_date=TIME, id_tag="TAG-1", reservation_id=7
    ),
    "reset": core_pb2.ResetRequest(type=core_pb2.RESET_TYPE_HARD),
    "send_local_list": local_auth_list_pb2.SendLocalListRequest(
        list_version=1,
        update_type=local_auth_list_pb2.UPDATE_TYPE_FULL,
        local_authorization_list=[local_auth_list_pb2.AuthorizationData(id_tag="TAG-1")],
    ),
    "set_charging_profile": smart_charging_pb2.SetChargingProfileRequest(
        connector_id=1,
        cs_charging_profiles=types_pb2.ChargingProfile(
            charging_profile_id=1,
            stack_level=0,
            charging_profile_purpose=types_pb2.CHARGING_PROFILE_PURPOSE_TYPE_TX_PROFILE,
            charging_profile_kind=types_pb2.CHARGING_PROFILE_KIND_TYPE_RELATIVE,
            charging_schedule=types_pb2.ChargingSchedule(
                charging_rate_unit=types_pb2.CHARGING_RATE_UNIT_TYPE_A,
                charging_schedule_period=[types_pb2.ChargingSchedulePeriod(limit=16.1)],
            ),
        ),
    ),
    "trigger_message": remote_trigger_pb2.TriggerMessageRequest(
        requested_message=remote_trigger_pb2.MESSAGE_TRIGGER_HEARTBEAT
    ),
    "unlock_connector": core_pb2.UnlockConnectorRequest(connector_id=1),
    "update_firmware": firmware_management_pb2.UpdateFirmwareRequest(
        location=URL, retrieve_date=TIME
    ),
    "certificate_signed": security_pb2.CertificateSignedRequest(certificate_chain="PEM"),
    "delete_certificate": security_pb2.DeleteCertificateRequest(
        certificate_hash_data=security_pb2.CertificateHashData(
            hash_algorithm=security_pb2.HASH_ALGORITHM_SHA256,
            issuer_name_hash="a",
            issuer_key_hash="b",
            serial_number="c",
        )
    ),
    "extended_trigger_message": security_pb2.ExtendedTriggerMessageRequest(
        requested_message=security_pb2.EXTENDED_MESSAGE_TRIGGER_HEARTBEAT
    ),
    "get_installed_certificate_ids": security_pb2.GetInstalledCertificateIdsRequest(
        certificate_type=security_pb2.CERTIFICATE_USE_CENTRAL_SYSTEM_ROOT_CERTIFICATE
    ),
    "get_log": security_pb2.GetLogRequest(
        log_type=security_pb2.LOG_TYPE_SECURITY_LOG,
        request_id=1,
        log=security_pb2.LogParameters(remote_location=URL),
    ),
    "install_certificate": security_pb2.InstallCertificateRequest(
        certificate_type=security_pb2.CERTIFICATE_USE_MANUFACTURER_ROOT_CERTIFICATE,
        certificate="PEM",
    ),
    "signed_update_firmware": security_pb2.SignedUpdateFirmwareRequest(
        request_id=1,
        firmware=security_pb2.Firmware(
            location=URL, retrieve_date_time=TIME, signing_certificate="PEM", signature="s"
        ),
    ),
}


@pytest.fixture
async def operator(start_platform: StartPlatform) -> Operator:
    platform = await start_platform(max_pending_commands=100)
    await platform.create("CP-1")
    return Operator(platform)


@pytest.fixture
async def deliverer(operator: Operator, database_url: str) -> AsyncIterator[Deliverer]:
    deliverer = Deliverer(database_url, operator.platform.clock)
    await deliverer.connect("CP-1")
    yield deliverer
    await deliverer.close()


async def violations(operator: Operator, **values: Any) -> set[str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await operator.create(**values)
    assert failure(raised).code is grpc.StatusCode.INVALID_ARGUMENT
    return set(failure(raised).fields)


def test_the_payloads_are_all_that_there_are() -> None:
    fields = pb.Command.DESCRIPTOR.oneofs_by_name["payload"].fields
    assert set(PAYLOADS) == {field.name for field in fields}
    assert len(PAYLOADS) == 26


async def test_every_payload_is_stored_as_given_and_fit_to_be_sent(
    operator: Operator, deliverer: Deliverer
) -> None:
    codec, schemas = Codec(), Schemas()
    for name, payload in PAYLOADS.items():
        created = await operator.create(**{name: payload})
        read = await operator.get(created.name)
        assert getattr(read, name) == payload, name
        assert read.WhichOneof("payload") == name
        delivery = await deliverer.claim("CP-1")
        assert delivery is not None
        assert delivery.command_id == id_of(created)
        call = CentralSystemCall.FromString(delivery.request)
        action = codec.central_system_calls.action_of(call)
        assert schemas.request(action).is_valid(codec.request_to_json(action, call)), name
        await deliverer.answer(delivery.command_id)


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"deliver_when_online": True}, {"command"}),
        ({"reset": core_pb2.ResetRequest()}, {"command.reset.type"}),
        ({"reset": {"type": 99}}, {"command.reset.type"}),
        (
            {"change_availability": core_pb2.ChangeAvailabilityRequest(connector_id=-1)},
            {"command.change_availability.type"},
        ),
        (
            {"change_configuration": core_pb2.ChangeConfigurationRequest(value="v" * 501)},
            {"command.change_configuration.key", "command.change_configuration.value"},
        ),
        (
            {"remote_start_transaction": core_pb2.RemoteStartTransactionRequest(id_tag="x" * 21)},
            {"command.remote_start_transaction.id_tag"},
        ),
        (
            {"get_configuration": core_pb2.GetConfigurationRequest(key=["a", "b" * 51])},
            {"command.get_configuration.key[1]"},
        ),
        (
            {"reserve_now": reservation_pb2.ReserveNowRequest()},
            {"command.reserve_now.expiry_date", "command.reserve_now.id_tag"},
        ),
        (
            {"reserve_now": {"expiry_date": Timestamp(seconds=10**15), "id_tag": "T"}},
            {"command.reserve_now.expiry_date"},
        ),
        (
            {"update_firmware": firmware_management_pb2.UpdateFirmwareRequest(location="not one")},
            {
                "command.update_firmware.location",
                "command.update_firmware.retrieve_date",
            },
        ),
        (
            {"delete_certificate": security_pb2.DeleteCertificateRequest()},
            {"command.delete_certificate.certificate_hash_data"},
        ),
        (
            {
                "send_local_list": local_auth_list_pb2.SendLocalListRequest(
                    update_type=local_auth_list_pb2.UPDATE_TYPE_FULL,
                    local_authorization_list=[
                        local_auth_list_pb2.AuthorizationData(id_tag="ok"),
                        local_auth_list_pb2.AuthorizationData(
                            id_tag="x" * 21, id_tag_info=types_pb2.IdTagInfo()
                        ),
                    ],
                )
            },
            {
                "command.send_local_list.local_authorization_list[1].id_tag",
                "command.send_local_list.local_authorization_list[1].id_tag_info.status",
            },
        ),
        (
            {
                "set_charging_profile": smart_charging_pb2.SetChargingProfileRequest(
                    cs_charging_profiles=types_pb2.ChargingProfile(
                        charging_profile_kind=types_pb2.CHARGING_PROFILE_KIND_TYPE_RELATIVE,
                        charging_schedule=types_pb2.ChargingSchedule(
                            charging_schedule_period=[
                                types_pb2.ChargingSchedulePeriod(limit=16.05)
                            ],
                        ),
                    )
                )
            },
            {
                f"command.set_charging_profile.cs_charging_profiles.{name}"
                for name in (
                    "charging_profile_purpose",
                    "charging_schedule.charging_rate_unit",
                    "charging_schedule.charging_schedule_period[0].limit",
                )
            },
        ),
        (
            {"data_transfer": core_pb2.DataTransferRequest(vendor_id="v", data="x" * 300_000)},
            {"command.data_transfer"},
        ),
    ],
)
async def test_every_fault_of_a_payload_is_named(
    operator: Operator, deliverer: Deliverer, values: dict[str, Any], fields: set[str]
) -> None:
    assert await violations(operator, **values) == fields


async def test_faults_beside_the_payload_are_named_with_it(operator: Operator) -> None:
    found = await violations(
        operator,
        identity="a/b",
        wait_s=301,
        request_id="nonsense",
        expire_time=Timestamp(seconds=1),
        answer_timeout={"seconds": 601},
        reset=core_pb2.ResetRequest(),
    )
    assert found == {
        *("parent", "wait", "request_id", "command.expire_time", "command.answer_timeout"),
        "command.reset.type",
    }


@pytest.mark.parametrize("key", ["AuthorizationKey", "authorizationkey"])
async def test_secrets_are_delivered_and_not_shown(
    operator: Operator, deliverer: Deliverer, key: str
) -> None:
    change = core_pb2.ChangeConfigurationRequest(key=key, value="s3cret")
    created = await operator.create(change_configuration=change)
    assert created.change_configuration.value == "***"
    delivery = await deliverer.claim("CP-1")
    assert delivery is not None
    call = CentralSystemCall.FromString(delivery.request)
    assert call.change_configuration.value == "s3cret"


async def test_secrets_in_answers_are_not_shown(operator: Operator, deliverer: Deliverer) -> None:
    keys = [
        core_pb2.KeyValue(key="AuthorizationKey", value="s3cret"),
        core_pb2.KeyValue(key="HeartbeatInterval", value="300"),
    ]
    answer = core_pb2.GetConfigurationResponse(configuration_key=keys)
    created = await operator.create(get_configuration=core_pb2.GetConfigurationRequest())
    delivery = await deliverer.claim("CP-1")
    assert delivery is not None
    response = CentralSystemAnswer(get_configuration=answer).SerializeToString()
    await deliverer.answer(delivery.command_id, response)
    shown = (await operator.get(created.name)).response.get_configuration.configuration_key
    assert [entry.value for entry in shown] == ["***", "300"]
