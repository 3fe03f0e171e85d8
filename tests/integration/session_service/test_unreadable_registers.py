"""Stops whose register nobody can read, as the gateway hands them over."""

from typing import Any

import pytest

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16 import types_pb2
from csms.v1 import session_service_pb2 as pb
from tests.integration.session_service.conftest import Platform, at, energy, stop_request

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
