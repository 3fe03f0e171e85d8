"""StartTransaction and StopTransaction over the call stream, with real services below."""

import asyncio

import pytest

import auth_service.wiring
from csms.ocpp.v16 import core_pb2, types_pb2
from csms.v1 import session_service_pb2 as pb
from tests.integration.session_service.conftest import (
    Platform,
    at,
    auth_config,
    energy,
    session_gateway,
    start_request,
    stop_request,
)
from tests.support.services import NO_TRACING, free_address, serving

ACCEPTED = types_pb2.AUTHORIZATION_STATUS_ACCEPTED
BLOCKED = types_pb2.AUTHORIZATION_STATUS_BLOCKED
CONCURRENT_TX = types_pb2.AUTHORIZATION_STATUS_CONCURRENT_TX
StartResponse = core_pb2.StartTransactionResponse
INVALID = types_pb2.AUTHORIZATION_STATUS_INVALID
MOST = 2**63 - 1


async def test_session_is_visible_at_once_when_the_start_is_answered(platform: Platform) -> None:
    await platform.tag("GROUP")
    await platform.tag("CARD-1", parent="idTags/GROUP", expire_time=at(10**8))
    answer = await platform.gateway.start(reservation_id=7)
    assert answer.id_tag_info.status == ACCEPTED
    assert answer.id_tag_info.parent_id_tag == "GROUP"
    assert answer.id_tag_info.expiry_date == at(10**8)
    assert answer.transaction_id > 0
    session = await platform.the_session()
    shown = await platform.sessions.GetSession(pb.GetSessionRequest(name=session.name))
    shown.ClearField("meter_summary")
    assert shown == session
    assert session.ocpp_transaction_id == answer.transaction_id
    assert (session.charge_point, session.connector_id) == ("chargePoints/CP-1", 1)
    assert (session.id_tag, session.authorization_status) == ("idTags/CARD-1", "Accepted")
    assert (session.state, session.reservation_id) == (pb.Session.STATE_ACTIVE, 7)
    assert (session.start_time, session.meter_start_wh) == (at(0), 1000)
    assert not session.HasField("energy_wh")
    assert not session.HasField("stop_time")


async def test_stop_completes_the_session(platform: Platform) -> None:
    await platform.tag()
    transaction_id = (await platform.gateway.start()).transaction_id
    answer = await platform.gateway.stop(
        transaction_id, id_tag="CARD-1", reason=core_pb2.REASON_EV_DISCONNECTED
    )
    assert answer.id_tag_info.status == ACCEPTED
    session = await platform.the_session()
    assert session.state == pb.Session.STATE_COMPLETED
    assert (session.meter_stop_wh, session.energy_wh) == (5000, 4000)
    assert (session.stop_time, session.stop_reason) == (at(3600), "EVDisconnected")
    assert session.stop_id_tag == "idTags/CARD-1"
    assert list(session.flags) == []


async def test_what_a_stop_does_not_say_stays_absent(platform: Platform) -> None:
    await platform.tag()
    transaction_id = (await platform.gateway.start()).transaction_id
    answer = await platform.gateway.stop(transaction_id)
    assert not answer.HasField("id_tag_info")
    session = await platform.the_session()
    assert not session.HasField("stop_reason")
    assert not session.HasField("stop_id_tag")


async def test_repeated_start_gets_the_same_answer_though_the_tag_was_blocked(
    platform: Platform,
) -> None:
    await platform.tag()
    first = await platform.gateway.start()
    await platform.block("CARD-1")
    assert await platform.gateway.start() == first
    assert (await platform.gateway.start(meter_start=1001)).id_tag_info.status == BLOCKED
    assert len(await platform.all_sessions()) == 2


async def test_start_is_repeated_only_when_it_says_the_same(platform: Platform) -> None:
    await platform.tag()
    starts = [
        start_request(),
        start_request(connector_id=2),
        start_request(id_tag="card-1"),
        start_request(meter_start=0),
        start_request(timestamp=at(1)),
    ]
    ids = [
        (await platform.gateway.exchange(charge_point, start)).response.start_transaction
        for charge_point in ("CP-1", "CP-2")
        for start in starts
    ]
    assert len({answer.transaction_id for answer in ids}) == 10


async def test_same_start_sent_many_times_at_once_makes_one_session(platform: Platform) -> None:
    await platform.tag(max_active_transactions=1)
    answers = await asyncio.gather(*(platform.gateway.start() for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].id_tag_info.status == ACCEPTED
    await platform.the_session()


async def test_same_start_without_time_on_two_replicas_makes_one_session(
    platform: Platform, database_url: str, auth_address: str
) -> None:
    async with session_gateway(database_url, auth_address) as other:
        calls = [
            platform.gateway.call(f"CP-{number}", start_request(), ["time_replaced"], "[2,...]")
            for number in range(20)
        ]
        for call in calls:
            call.request.start_transaction.timestamp.seconds = call.receive_time.seconds
        copies = [type(call).FromString(call.SerializeToString()) for call in calls]
        answers = await asyncio.gather(
            *(platform.gateway.send(call) for call in calls),
            *(other.gateway.send(call) for call in copies),
        )
    ids = [answer.response.start_transaction.transaction_id for answer in answers]
    assert ids[:20] == ids[20:]
    assert len(await platform.all_sessions()) == 20


async def test_start_without_readable_time_is_repeated_while_its_session_runs(
    platform: Platform,
) -> None:
    await platform.tag()

    async def start() -> int:
        call = platform.gateway.call("CP-1", start_request(), ["time_missing"], "[2,...]")
        call.request.start_transaction.timestamp.seconds = call.receive_time.seconds
        answer = await platform.gateway.send(call)
        return answer.response.start_transaction.transaction_id

    first = await start()
    assert await start() == first
    session = await platform.the_session()
    assert list(session.flags) == ["START_REPAIRED", "START_TIME_UNKNOWN"]
    assert session.start_time == session.start_receive_time
    await platform.gateway.stop(first, timestamp=at(10**8))
    assert await start() != first


async def test_refused_start_is_a_session_all_the_same(platform: Platform) -> None:
    answer = await platform.gateway.start(id_tag="NOBODY")
    assert answer.id_tag_info.status == INVALID
    await platform.gateway.stop(answer.transaction_id)
    session = await platform.the_session()
    assert (session.authorization_status, session.energy_wh) == ("Invalid", 4000)


async def test_odd_tags_and_reservations_are_kept(platform: Platform) -> None:
    for tag in ("", "x" * 4000, "with/slash", "with\0NUL", "\\N\t{}"):
        answer = await platform.gateway.start(id_tag=tag, reservation_id=0)
        assert answer.id_tag_info.status == INVALID
        assert await platform.gateway.start(id_tag=tag, reservation_id=0) == answer
    await platform.gateway.start(reservation_id=4294967295)
    sessions = await platform.all_sessions()
    assert not any(session.HasField("reservation_id") for session in sessions)
    assert [session.id_tag for session in sessions] == [
        "idTags/CARD-1",
        "idTags/\\N\t{}",
        "idTags/with\\u0000NUL",
        "idTags/with/slash",
        "idTags/" + "x" * 4000,
        "",
    ]


async def test_limit_holds_over_two_replicas(
    platform: Platform, database_url: str, auth_address: str
) -> None:
    tags = [f"card-{number}" for number in range(20)]
    for tag in tags:
        await platform.tag(tag, max_active_transactions=1)
    async with session_gateway(database_url, auth_address) as other:

        async def start(replicas: tuple[Platform, Platform]) -> list[StartResponse]:
            return await asyncio.gather(
                *(
                    replica.gateway.start(f"CP-{spelled}", id_tag=spelled)
                    for tag in tags
                    for replica, spelled in zip(replicas, (tag, tag.upper()), strict=True)
                )
            )

        answers = await start((platform, other))
        for pair in zip(answers[::2], answers[1::2], strict=True):
            assert {answer.id_tag_info.status for answer in pair} == {ACCEPTED, CONCURRENT_TX}
        assert await start((other, platform)) == answers


async def test_same_start_on_two_replicas_makes_one_session(
    platform: Platform, database_url: str, auth_address: str
) -> None:
    async with session_gateway(database_url, auth_address) as other:
        answers = await asyncio.gather(
            *(
                replica.gateway.start(f"CP-{number}")
                for number in range(20)
                for replica in (platform, other)
            )
        )
    assert answers[::2] == answers[1::2]
    assert len(await platform.all_sessions()) == 20


async def test_ended_session_makes_room_for_the_next(platform: Platform) -> None:
    await platform.tag(max_active_transactions=1)
    first = await platform.gateway.start()
    second = await platform.gateway.start(connector_id=2)
    assert second.id_tag_info.status == CONCURRENT_TX
    await platform.gateway.stop(first.transaction_id)
    third = await platform.gateway.start(connector_id=3)
    assert third.id_tag_info.status == ACCEPTED


async def test_repeated_stop_changes_nothing_and_gets_the_same_answer(platform: Platform) -> None:
    await platform.tag()
    transaction_id = (await platform.gateway.start()).transaction_id
    first = await platform.gateway.stop(transaction_id, id_tag="CARD-1")
    session = await platform.the_session()
    await platform.block("CARD-1")
    assert await platform.gateway.stop(transaction_id, id_tag="CARD-1") == first
    assert await platform.the_session() == session
    assert await platform.quarantined() == []


async def test_repeated_stop_that_brings_more_values_keeps_them(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    values = [energy(60, "1100"), energy(120, "1200")]
    for count in (1, 2, 2):
        await platform.gateway.stop(transaction_id, transaction_data=values[:count])
    session = await platform.the_session()
    found = [it.sampled_values[0].value for it in await platform.meter_values(session)]
    assert found == ["1100", "1200"]
    assert await platform.quarantined() == []


async def test_second_different_stop_is_quarantined_once(platform: Platform) -> None:
    await platform.tag()
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(transaction_id)
    session = await platform.the_session()
    for _ in range(2):
        await platform.gateway.stop(transaction_id, meter_stop=9999)
    assert await platform.the_session() == session
    (entry,) = await platform.quarantined()
    assert (entry.reason, entry.action) == ("SECOND_STOP", "StopTransaction")
    assert f'"transactionId":{transaction_id}' in entry.raw_text
    assert '"meterStop":9999' in entry.raw_text


async def test_stop_of_an_unknown_transaction_is_answered_and_kept_once(
    platform: Platform,
) -> None:
    for transaction_id in (0, -1, 4242, 9223372036854766666):
        for _ in range(2):
            answer = await platform.gateway.stop(transaction_id, id_tag="NOBODY")
            assert answer.id_tag_info.status == INVALID
    entries = await platform.quarantined(charge_point="chargePoints/CP-1")
    assert [entry.reason for entry in entries] == ["UNKNOWN_TRANSACTION"] * 4
    assert '"transactionId":9223372036854766666' in entries[0].raw_text
    assert '"timestamp":"2026-03-01T13:00:00Z"' in entries[0].raw_text


async def test_stop_from_another_charge_point_does_not_end_the_session(
    platform: Platform,
) -> None:
    await platform.tag()
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(transaction_id, "CP-2")
    assert (await platform.the_session()).state == pb.Session.STATE_ACTIVE
    (entry,) = await platform.quarantined()
    assert (entry.charge_point, entry.reason) == ("chargePoints/CP-2", "UNKNOWN_TRANSACTION")


async def test_late_stop_ends_its_session_after_the_next_start(platform: Platform) -> None:
    await platform.tag()
    first = (await platform.gateway.start()).transaction_id
    second = (await platform.gateway.start(timestamp=at(7200), meter_start=5000)).transaction_id
    await platform.gateway.stop(first)
    states = {item.ocpp_transaction_id: item.state for item in await platform.all_sessions()}
    assert states == {first: pb.Session.STATE_COMPLETED, second: pb.Session.STATE_ACTIVE}


async def test_doubtful_stop_is_flagged_and_never_negative(platform: Platform) -> None:
    await platform.tag()
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(transaction_id, timestamp=at(-60), meter_stop=10)
    session = await platform.the_session()
    assert session.energy_wh == 0
    assert list(session.flags) == ["STOP_BEFORE_START", "METER_STOP_BELOW_START"]


async def test_repaired_stop_is_flagged(platform: Platform) -> None:
    await platform.tag()
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.exchange(
        "CP-1",
        stop_request(transaction_id),
        repairs=["fractional_register_rounded"],
        raw_frame="[2,\0]",
    )
    assert list((await platform.the_session()).flags) == ["STOP_REPAIRED", "METER_REPAIRED"]


async def test_transaction_data_is_kept_once(platform: Platform) -> None:
    await platform.tag()
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(energy(60, "1100"), transaction_id=transaction_id)
    data = [energy(60, "1100"), energy(3600, "5000"), types_pb2.MeterValue(timestamp=at(1))]
    for _ in range(2):
        await platform.gateway.stop(transaction_id, transaction_data=data)
    kept = await platform.meter_values(await platform.the_session())
    assert [item.sampled_values[0].value for item in kept] == ["1100", "5000"]


async def test_start_waits_for_auth_service_to_come_back(database_url: str) -> None:
    config = auth_config(database_url, free_address())
    async with session_gateway(database_url, config.listen) as platform:
        start = asyncio.create_task(platform.gateway.start())
        done, _ = await asyncio.wait({start}, timeout=1)
        assert not done
        async with serving(auth_service.wiring.build(config, NO_TRACING), config.listen):
            assert (await start).id_tag_info.status == INVALID


async def test_repeated_start_is_answered_without_auth_service(database_url: str) -> None:
    config = auth_config(database_url, free_address())
    async with session_gateway(database_url, config.listen) as platform:
        async with serving(auth_service.wiring.build(config, NO_TRACING), config.listen):
            first = await platform.gateway.start()
        assert await platform.gateway.start() == first


async def test_stop_does_not_wait_for_auth_service(database_url: str) -> None:
    config = auth_config(database_url, free_address())
    async with session_gateway(database_url, config.listen) as platform:
        async with serving(auth_service.wiring.build(config, NO_TRACING), config.listen):
            transaction_id = (await platform.gateway.start()).transaction_id
        waiting = asyncio.create_task(platform.gateway.start("CP-2"))
        answer = await platform.gateway.stop(transaction_id, id_tag="CARD-1")
        assert not waiting.done()
        waiting.cancel()
        assert not answer.HasField("id_tag_info")
        assert (await platform.the_session()).state == pb.Session.STATE_COMPLETED
        assert await platform.gateway.stop(transaction_id, id_tag="CARD-1") == answer


async def test_start_that_cannot_be_checked_in_time_is_refused(database_url: str) -> None:
    async with session_gateway(database_url, "127.0.0.1:1") as platform:
        platform.gateway.patience_s = 8
        answer = await platform.gateway.exchange("CP-1", start_request())
        assert answer.error.message == "The id tag cannot be checked now; try again."
        assert await platform.all_sessions() == []


@pytest.mark.parametrize(
    ("meter_start", "meter_stop"), [(0, MOST), (-MOST - 1, MOST), (MOST, -MOST - 1)]
)
async def test_registers_of_any_size_are_stored_and_answered(
    platform: Platform, meter_start: int, meter_stop: int
) -> None:
    started = (await platform.gateway.start(meter_start=meter_start)).transaction_id
    await platform.gateway.stop(started, meter_stop=meter_stop, timestamp=at(0.000001))
    session = await platform.session(started)
    assert (session.meter_start_wh, session.meter_stop_wh) == (meter_start, meter_stop)
    energy_wh = min(MOST, max(0, meter_stop - meter_start))
    assert (session.energy_wh, session.average_power_w) == (energy_wh, energy_wh)
