"""AdmissionService: who may connect, and what becomes of refusals."""

import asyncio

import pytest

from csms.gateway.v1 import admission_pb2
from csms.ocpp.v16 import core_pb2
from csms.v1 import charge_point_service_pb2 as pb
from device_service.domain import RefusedHandshake
from device_service.store import FactWriter, PostgresReportStore
from device_service.wiring import SCHEMA
from servicekit.database import Database
from servicekit.pagination import page_request
from tests.integration.device_service.conftest import StartPlatform
from tests.integration.device_service.gateway import NOW, Caller, Platform, a_boot, ask
from tests.support.pages import every_page

ADMITTED = admission_pb2.VERDICT_ADMITTED
UNKNOWN = admission_pb2.VERDICT_UNKNOWN_CHARGE_POINT
MISSING = admission_pb2.VERDICT_SUBPROTOCOL_MISSING
BY_GATEWAY = admission_pb2.VERDICT_REFUSED_BY_GATEWAY


async def test_known_charge_point_is_admitted_in_any_state(platform: Platform) -> None:
    await platform.create("CP-1")
    answer = await platform.admit("CP-1", ("ocpp2.0.1", "ocpp1.6"))
    assert (answer.verdict, answer.subprotocol) == (ADMITTED, "ocpp1.6")
    await platform.charge_points.RejectChargePoint(
        pb.RejectChargePointRequest(name="chargePoints/CP-1")
    )
    assert (await platform.admit("CP-1")).verdict == ADMITTED
    boot = await ask(platform, Caller(platform.clock).request(a_boot()))
    assert boot.status == core_pb2.REGISTRATION_STATUS_REJECTED


@pytest.mark.parametrize(
    ("optional", "offered", "verdict", "confirmed"),
    [
        (False, [], MISSING, ""),
        (False, ["ocpp2.0.1"], MISSING, ""),
        (True, [], ADMITTED, ""),
        (True, ["ocpp2.0.1"], MISSING, ""),
        (True, ["ocpp1.6"], ADMITTED, "ocpp1.6"),
    ],
)
async def test_subprotocol_is_required_unless_the_record_says_otherwise(
    platform: Platform,
    optional: bool,
    offered: list[str],
    verdict: admission_pb2.Verdict.ValueType,
    confirmed: str,
) -> None:
    await platform.create("CP-1", subprotocol_optional=optional)
    answer = await platform.admit("CP-1", offered)
    assert (answer.verdict, answer.subprotocol) == (verdict, confirmed)
    reasons = [item.reason for item in await platform.refused()]
    assert reasons == (["subprotocol_missing"] if verdict == MISSING else [])


@pytest.mark.parametrize(
    ("policy", "verdict", "state", "boot_status", "interval"),
    [
        ("reject", UNKNOWN, None, core_pb2.REGISTRATION_STATUS_REJECTED, 45),
        (
            "pending",
            ADMITTED,
            pb.ChargePoint.STATE_PENDING,
            core_pb2.REGISTRATION_STATUS_PENDING,
            45,
        ),
        (
            "accept",
            ADMITTED,
            pb.ChargePoint.STATE_ACCEPTED,
            core_pb2.REGISTRATION_STATUS_ACCEPTED,
            300,
        ),
    ],
)
async def test_policy_decides_about_unknown_charge_points(
    start_platform: StartPlatform,
    policy: str,
    verdict: admission_pb2.Verdict.ValueType,
    state: pb.ChargePoint.State.ValueType | None,
    boot_status: core_pb2.RegistrationStatus.ValueType,
    interval: int,
) -> None:
    platform = await start_platform(unknown_charge_points=policy, pending_retry_interval_s=45)
    assert (await platform.admit("CP-1")).verdict == verdict
    page = await platform.charge_points.ListChargePoints(pb.ListChargePointsRequest())
    assert [item.state for item in page.charge_points] == ([] if state is None else [state])
    # The same holds for a boot of a charge point whose record is gone.
    boot = await ask(platform, Caller(platform.clock, "CP-2").request(a_boot()))
    assert (boot.status, boot.interval) == (boot_status, interval)
    page = await platform.charge_points.ListChargePoints(pb.ListChargePointsRequest())
    assert page.total_size == (0 if state is None else 2)


async def test_unknown_charge_point_without_subprotocol_is_not_registered(
    start_platform: StartPlatform,
) -> None:
    platform = await start_platform(unknown_charge_points="accept")
    assert (await platform.admit("CP-1", [])).verdict == MISSING
    page = await platform.charge_points.ListChargePoints(pb.ListChargePointsRequest())
    assert page.total_size == 0


async def test_simultaneous_handshakes_register_once(start_platform: StartPlatform) -> None:
    platform = await start_platform(unknown_charge_points="pending")
    answers = await asyncio.gather(*(platform.admit("CP-1") for _ in range(8)))
    assert {answer.verdict for answer in answers} == {ADMITTED}
    page = await platform.charge_points.ListChargePoints(pb.ListChargePointsRequest())
    assert page.total_size == 1


async def test_refusals_are_counted_by_identity_and_reason(platform: Platform) -> None:
    await asyncio.gather(*(platform.admit("CP-1") for _ in range(3)))
    platform.clock.move(minutes=1)
    await platform.admit("CP-1", remote_address="192.0.2.9:1")
    platform.clock.move(minutes=1)
    await platform.admit("CP-2")
    newest, oldest = await platform.refused()
    assert (newest.charge_point_id, newest.refuse_count) == ("CP-2", 1)
    assert (oldest.reason, oldest.refuse_count) == ("unknown_charge_point", 4)
    assert oldest.remote_address == "192.0.2.9:1"
    assert oldest.last_refuse_time.seconds - oldest.first_refuse_time.seconds == 60


async def test_refusal_of_the_gateway_is_only_stored(platform: Platform) -> None:
    await platform.create("CP-1")
    answer = await platform.admit("CP-1", refusal_reason="too_many_connections")
    assert answer.verdict == BY_GATEWAY
    (refused,) = await platform.refused()
    assert (refused.charge_point_id, refused.reason) == ("CP-1", "too_many_connections")


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        ("", ""),
        ("a/b", "a/b"),
        ("-", "-"),
        ("tab\there\0é", "tab\\there\\x00\\xe9"),
        ("x" * 5000, "x" * 100),
    ],
)
async def test_malformed_identity_is_stored_in_printable_form(
    start_platform: StartPlatform, identity: str, shown: str
) -> None:
    platform = await start_platform(unknown_charge_points="accept")
    answer = await platform.admit(identity, remote_address="\0" * 300)
    assert answer.verdict == BY_GATEWAY
    (refused,) = await platform.refused()
    assert (refused.charge_point_id, refused.reason) == (shown, "malformed_identity")


async def test_pages_of_refusals_go_from_newest_to_oldest(platform: Platform) -> None:
    for number in range(5):
        platform.clock.move(seconds=number % 2)
        await platform.admit(f"CP-{number}")
    request = pb.ListRefusedHandshakesRequest(page_size=2)
    pages = await every_page(platform.charge_points.ListRefusedHandshakes, request)
    assert [page.total_size for page in pages] == [5, 5, 5]
    found = [item.charge_point_id for page in pages for item in page.refused_handshakes]
    assert found == ["CP-4", "CP-3", "CP-2", "CP-1", "CP-0"]


async def test_oldest_refusals_make_room(database_url: str) -> None:
    database = Database(database_url, SCHEMA)
    writer = FactWriter(database, max_refused_handshakes=3)
    clock = NOW
    for number in range(5):
        clock = clock.replace(minute=number)
        fact = RefusedHandshake(f"CP-{number}", "unknown_charge_point", "", clock, clock)
        await writer.write([fact])
    kept = await PostgresReportStore(database).list_refused_handshakes(
        page_request(10, "", key_length=3)
    )
    assert [item.charge_point_id for item in kept.rows] == ["CP-4", "CP-3", "CP-2"]
    await database.close()
