"""MeterValues over the call stream: kept once, attributed, shown as sent."""

import asyncio

import psycopg
import pytest

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16 import core_pb2, types_pb2
from csms.v1 import session_service_pb2 as pb
from tests.integration.session_service.conftest import Platform, at, energy

SAMPLE = types_pb2.SampledValue


@pytest.fixture
def count(database_url: str) -> "Count":
    return Count(database_url)


class Count:
    """Counts rows of meter values, attributed or not."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    def __call__(self, condition: str = "TRUE") -> int:
        with psycopg.connect(self._url) as connection:
            query = f"SELECT count(*) FROM session.meter_values WHERE {condition}"
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            return int(row[0])


async def shown(platform: Platform) -> list[str]:
    """Return the texts of the first values of the only session's meter values."""
    values = await platform.meter_values(await platform.the_session())
    return [value.sampled_values[0].value for value in values]


async def test_values_are_shown_with_the_defaults_of_ocpp(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    samples = [
        SAMPLE(value="1000.10"),
        SAMPLE(
            value="-0",
            measurand=types_pb2.MEASURAND_VOLTAGE,
            phase=types_pb2.PHASE_L1_N,
            location=types_pb2.LOCATION_INLET,
            context=types_pb2.READING_CONTEXT_TRANSACTION_BEGIN,
        ),
        SAMPLE(value='AF"\\\t{}\0,NULL', format=types_pb2.VALUE_FORMAT_SIGNED_DATA),
        SAMPLE(value="12", measurand=types_pb2.MEASURAND_SOC, unit=types_pb2.UNIT_OF_MEASURE_W),
        SAMPLE(value="1e3"),
        SAMPLE(value=""),
        SAMPLE(value="1,5"),
    ]
    await platform.gateway.meter(
        types_pb2.MeterValue(timestamp=at(1), sampled_value=samples),
        transaction_id=transaction_id,
    )
    (value,) = await platform.meter_values(await platform.the_session())
    assert value.sample_time == at(1)
    register = ("Energy.Active.Import.Register", "Wh", "", "Outlet", "Sample.Periodic", "Raw")
    assert [
        (s.value, s.measurand, s.unit, s.phase, s.location, s.context, s.format)
        for s in value.sampled_values
    ] == [
        ("1000.10", *register),
        ("0", "Voltage", "", "L1-N", "Inlet", "Transaction.Begin", "Raw"),
        ('AF"\\\t{}\\u0000,NULL', *register[:-1], "SignedData"),
        ("12", "SoC", "W", "", "Outlet", "Sample.Periodic", "Raw"),
        ("1000", *register),
        ("", *register),
        ("1,5", *register),
    ]
    raw = [s.raw_value if s.HasField("raw_value") else None for s in value.sampled_values]
    assert raw == [None, "-0", None, None, "1e3", None, None]
    assert not any(s.HasField("raw_unit") for s in value.sampled_values)


async def test_values_are_kept_once_however_often_they_are_sent(
    platform: Platform, count: Count
) -> None:
    await asyncio.gather(
        *(platform.gateway.meter(energy(1, "1"), energy(2, "2"), energy(2, "3")) for _ in range(30))
    )
    await platform.gateway.meter(energy(1, "1"), energy(1, "1"), connector_id=2)
    await platform.gateway.meter(energy(1, "1"), charge_point_id="CP-2")
    assert count() == 5


async def test_empty_meter_values_are_answered_and_leave_nothing(
    platform: Platform, count: Count
) -> None:
    await platform.gateway.meter()
    await platform.gateway.meter(types_pb2.MeterValue(timestamp=at(0)))
    assert count() == 0
    assert await platform.quarantined() == []


async def test_values_that_repair_left_nothing_of_are_quarantined(platform: Platform) -> None:
    request = core_pb2.MeterValuesRequest(connector_id=1)
    for rules in (["empty_list_kept"], ["sample_dropped", "empty_list_kept"]):
        await platform.gateway.exchange("CP-1", request, repairs=rules, raw_frame="[2,\0]")
    (entry,) = await platform.quarantined()
    assert (entry.reason, entry.raw_text) == ("EMPTY_METER_VALUES", "[2,\\u0000]")


async def test_repaired_values_keep_the_frame_once(platform: Platform, count: Count) -> None:
    request = core_pb2.MeterValuesRequest(
        connector_id=1, meter_value=[energy(1, "1"), energy(2, "2")]
    )
    await platform.gateway.exchange(
        "CP-1", request, repairs=["enum_synonym", "sample_dropped"], raw_frame='[2,"\t\\"]'
    )
    kept = "repairs = '{enum_synonym,sample_dropped}' AND raw_frame = E'[2,\"\\t\\\\\"]'"
    assert (count(), count(kept), count("raw_frame IS NULL")) == (2, 1, 1)


async def test_start_values_and_stop_in_a_row_are_kept_in_order(platform: Platform) -> None:
    async def charge(number: int) -> None:
        charge_point_id = f"CP-{number}"
        started = await platform.gateway.start(charge_point_id)
        for minute in range(1, 4):
            await platform.gateway.meter(
                energy(minute * 60, f"{1000 + minute}"),
                charge_point_id=charge_point_id,
                transaction_id=started.transaction_id,
            )
        await platform.gateway.stop(started.transaction_id, charge_point_id)

    await asyncio.gather(*(charge(number) for number in range(20)))
    sessions = await platform.all_sessions()
    assert len(sessions) == 20
    for session in sessions:
        assert session.state == pb.Session.STATE_COMPLETED
        assert len(await platform.meter_values(session)) == 3


async def test_energy_of_a_running_session_comes_from_the_newest_register(
    platform: Platform,
) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    begin = types_pb2.READING_CONTEXT_TRANSACTION_BEGIN
    voltage = SAMPLE(value="230", measurand=types_pb2.MEASURAND_VOLTAGE)
    register = SAMPLE(value="3.5004", unit=types_pb2.UNIT_OF_MEASURE_KWH)
    stale = SAMPLE(value="1000", context=begin)
    phase = SAMPLE(value="9999", phase=types_pb2.PHASE_L1)
    await platform.gateway.meter(
        energy(60, "1500"),
        types_pb2.MeterValue(timestamp=at(120), sampled_value=[phase, stale, register, voltage]),
        types_pb2.MeterValue(timestamp=at(180), sampled_value=[voltage, phase]),
        transaction_id=transaction_id,
    )
    assert (await platform.the_session()).energy_wh == 2500
    await platform.gateway.meter(energy(240, "0"), transaction_id=transaction_id)
    assert (await platform.the_session()).energy_wh == 2500  # a register does not fall


async def test_unreadable_frame_is_kept_once_for_each_arrival(platform: Platform) -> None:
    frame = call_pb2.UnreadableFrame(
        error_code="FormationViolation", reason="no JSON", action="MeterValues"
    )
    call = platform.gateway.call("CP-1", frame, raw_frame='[2,"1","Meter\0')
    for _ in range(2):
        assert (await platform.gateway.send(call)).HasField("report_stored")
    await platform.gateway.exchange("CP-1", frame, raw_frame=call.raw_frame)
    newest, first = await platform.quarantined()
    assert newest.receive_time.ToNanoseconds() > first.receive_time.ToNanoseconds()
    assert (first.action, first.reason) == ("MeterValues", "UNREADABLE_FRAME")
    assert first.detail == "FormationViolation: no JSON"
    assert first.raw_text == '[2,"1","Meter\\u0000'


async def test_message_that_cannot_be_stored_fails_alone(platform: Platform, count: Count) -> None:
    def request(number: int) -> core_pb2.MeterValuesRequest:
        return core_pb2.MeterValuesRequest(connector_id=1, meter_value=[energy(number, "1")])

    answers = await asyncio.gather(
        *(
            platform.gateway.exchange("CP-\0" if number == 7 else f"CP-{number}", request(number))
            for number in range(40)
        )
    )
    failed = [number for number, answer in enumerate(answers) if answer.HasField("error")]
    assert (failed, count()) == ([7], 39)
