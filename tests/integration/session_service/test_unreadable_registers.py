"""Starts and stops whose register nobody can read, as the gateway hands them over."""

from typing import Any

import psycopg
import pytest

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16 import types_pb2
from csms.v1 import session_service_pb2 as pb
from tests.integration.session_service.conftest import (
    Platform,
    at,
    energy,
    start_request,
    stop_request,
)

RAW = '[2,"7","StopTransaction",{"meterStop":"abc"}]'
UNKNOWN = ["STOP_REPAIRED", "METER_STOP_UNKNOWN"]


async def stop(platform: Platform, transaction_id: int, **said: Any) -> call_pb2.Answer:
    """Stop without a register."""
    request = stop_request(transaction_id, **{"meter_stop": 0, **said})
    rules = ["null_dropped", "register_missing"]
    answer = await platform.gateway.exchange("CP-1", request, repairs=rules, raw_frame=RAW)
    assert answer.response.HasField("stop_transaction"), answer
    return answer


async def test_stop_without_a_register_ends_its_session_with_what_was_read_last(
    platform: Platform,
) -> None:
    await platform.tag()
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(energy(1800, "1900"), transaction_id=transaction_id)
    first = await stop(platform, transaction_id, id_tag="CARD-1", reason=1)
    session = await platform.session(transaction_id)
    assert (session.stop_source, session.stop_time) == (pb.Session.SOURCE_STATION, at(3600))
    assert (session.meter_stop_wh, session.energy_wh) == (1900, 900)
    assert list(session.flags) == UNKNOWN
    await platform.block("CARD-1")
    again = await stop(platform, transaction_id, id_tag="CARD-1", reason=1)
    assert again.response == first.response
    assert await platform.session(transaction_id) == session
    assert await platform.quarantined() == []


async def test_register_in_the_values_of_the_stop_counts(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    await stop(platform, transaction_id, transaction_data=[energy(3600, "2500")])
    assert (await platform.the_session()).energy_wh == 1500


async def test_register_that_is_read_after_the_stop_counts(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    await stop(platform, transaction_id)
    assert (await platform.the_session()).energy_wh == 0
    last = energy(3601, "2500", context=types_pb2.READING_CONTEXT_TRANSACTION_END)
    await platform.gateway.meter(last, transaction_id=transaction_id)
    session = await platform.the_session()
    assert (session.energy_wh, session.meter_stop_wh, session.stop_time) == (1500, 2500, at(3600))
    assert (await platform.session(transaction_id)).energy_wh == 1500


async def test_second_stop_that_tells_a_register_is_kept_for_people(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    await stop(platform, transaction_id)
    for meter_stop in (0, 1900):
        await platform.gateway.stop(transaction_id, meter_stop=meter_stop)
    assert list((await platform.the_session()).flags) == UNKNOWN
    entries = await platform.quarantined()
    assert [entry.reason for entry in entries] == ["SECOND_STOP"] * 2


@pytest.mark.parametrize("transaction_id", [0, 4711])
async def test_stop_that_tells_neither_transaction_nor_register_waits_for_people(
    platform: Platform, transaction_id: int
) -> None:
    started = (await platform.gateway.start()).transaction_id
    for _ in range(2):
        await stop(platform, transaction_id)
    await platform.gateway.start(connector_id=2)
    assert len(await platform.all_sessions(state=pb.Session.STATE_ACTIVE)) == 2
    (entry,) = await platform.quarantined()
    assert (entry.reason, entry.raw_text) == ("UNKNOWN_TRANSACTION", RAW)
    assert "0 Wh" not in entry.detail
    session = await platform.session(started)
    await platform.sessions.ResolveQuarantineEntry(
        pb.ResolveQuarantineEntryRequest(name=entry.name, comment="its", session=session.name)
    )
    flags = ["STOP_REPAIRED", "STOP_MATCHED", "METER_STOP_UNKNOWN"]
    assert list((await platform.session(started)).flags) == flags


async def test_stop_without_a_register_is_no_repeat_of_one_at_zero(platform: Platform) -> None:
    await platform.gateway.stop(4711, meter_stop=0)
    await stop(platform, 4711)
    assert len(await platform.quarantined()) == 2


async def start(platform: Platform, **said: Any) -> int:
    """Start without a register."""
    request = start_request(**{"meter_start": 0, **said})
    answer = await platform.gateway.exchange(
        "CP-1", request, repairs=["register_unreadable"], raw_frame='[2,"6"]'
    )
    return answer.response.start_transaction.transaction_id


async def test_start_without_a_register_begins_with_the_first_that_is_read(
    platform: Platform,
) -> None:
    transaction_id = await start(platform)
    session = await platform.session(transaction_id)
    assert (session.meter_start_wh, session.HasField("energy_wh")) == (0, False)
    assert list(session.flags) == ["START_REPAIRED", "METER_START_UNKNOWN"]
    for number in range(30):  # more than are looked at to tell how far a session has come
        await platform.gateway.meter(
            energy(60 * number, str(2000 + 10 * number)), transaction_id=transaction_id
        )
    assert await start(platform) == transaction_id
    for session in (await platform.session(transaction_id), await platform.the_session()):
        assert (session.meter_start_wh, session.energy_wh) == (2000, 290)
    assert (await platform.session(transaction_id)).meter_summary.metered_energy_wh == 290
    await platform.gateway.stop(transaction_id, meter_stop=2500)
    for session in (await platform.session(transaction_id), await platform.the_session()):
        assert (session.meter_start_wh, session.energy_wh) == (2000, 500)
    assert await start(platform) == transaction_id


async def test_begin_that_was_read_stays_when_its_meter_values_are_gone(
    platform: Platform, database_url: str
) -> None:
    transaction_id = await start(platform)
    await platform.gateway.meter(energy(60, "2000"), transaction_id=transaction_id)
    await platform.gateway.stop(transaction_id, meter_stop=2500)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM session.meter_values")
    assert (await platform.session(transaction_id)).energy_wh == 500


async def test_register_that_is_read_when_all_is_over_counts(platform: Platform) -> None:
    transaction_id = await start(platform)
    await platform.gateway.stop(transaction_id, meter_stop=2500)
    session = await platform.session(transaction_id)
    assert (session.HasField("energy_wh"), session.meter_stop_wh) == (False, 2500)
    await platform.gateway.meter(energy(60, "2000"), transaction_id=transaction_id)
    session = await platform.session(transaction_id)
    assert (session.energy_wh, session.stop_time) == (500, at(3600))


async def test_stop_that_names_none_fits_no_start_without_a_register(platform: Platform) -> None:
    await platform.gateway.stop(4711)
    transaction_id = await start(platform)
    await platform.gateway.stop(0)
    assert (await platform.session(transaction_id)).state == pb.Session.STATE_ACTIVE
    assert len(await platform.quarantined()) == 2
