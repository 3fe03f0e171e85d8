"""What a session says of its meter values."""

from csms.ocpp.v16 import types_pb2
from csms.v1 import session_service_pb2 as pb
from tests.integration.session_service.conftest import Platform, at, energy

POWER = types_pb2.MEASURAND_POWER_ACTIVE_IMPORT
SOC = types_pb2.MEASURAND_SOC
KW = types_pb2.UNIT_OF_MEASURE_KW
KWH = types_pb2.UNIT_OF_MEASURE_KWH
PERCENT = types_pb2.UNIT_OF_MEASURE_PERCENT


def reading(seconds: float, kwh: str, kw: str, percent: str) -> types_pb2.MeterValue:
    samples = [
        types_pb2.SampledValue(value=kwh, unit=KWH),
        types_pb2.SampledValue(value=kw, unit=KW, measurand=POWER),
        types_pb2.SampledValue(value=percent, unit=PERCENT, measurand=SOC),
    ]
    return types_pb2.MeterValue(timestamp=at(seconds), sampled_value=samples)


async def test_session_tells_power_state_of_charge_and_metered_energy(platform: Platform) -> None:
    started = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(
        reading(600, "1.5", "11.04", "40"),
        reading(1800, "4.5", "7.2", "61"),
        reading(1200, "3", "22.5", "50"),
        transaction_id=started,
    )
    session = await platform.session(started)
    assert (session.energy_wh, session.duration.seconds) == (3500, 1800)
    assert session.average_power_w == 7000
    assert session.meter_summary == pb.MeterSummary(
        meter_value_count=3,
        metered_energy_wh=3500,
        peak_power_w=22500,
        first_state_of_charge_percent=40,
        last_state_of_charge_percent=61,
        first_sample_time=at(600),
        last_sample_time=at(1800),
    )
    assert not (await platform.the_session()).HasField("meter_summary")


async def test_session_without_meter_values_sums_up_nothing(platform: Platform) -> None:
    started = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(energy(1, "no number"), transaction_id=started)
    summary = (await platform.session(started)).meter_summary
    assert summary.meter_value_count == 1
    assert not summary.HasField("metered_energy_wh")
    assert not summary.HasField("peak_power_w")
    assert not summary.HasField("first_state_of_charge_percent")


async def test_register_that_dips_or_is_reset_is_marked_and_not_believed(
    platform: Platform,
) -> None:
    started = (await platform.gateway.start(meter_start=100_000)).transaction_id
    for seconds, register in ((1, "101000"), (2, "0"), (3, "102000"), (4, "0")):
        await platform.gateway.meter(energy(seconds, register), transaction_id=started)
    assert (await platform.session(started)).energy_wh == 2000
    await platform.gateway.stop(
        started, meter_stop=70, transaction_data=[energy(5, "30"), energy(6, "70")]
    )
    session = await platform.session(started)
    assert session.energy_wh == 0
    assert session.meter_summary.metered_energy_wh == 2070
    below = ["METER_STOP_BELOW_START", "METER_STOP_BELOW_READING"]
    assert list(session.flags) == [*below, "METER_DIP", "METER_RESET"]


async def test_numbers_of_any_size_do_not_keep_a_session_from_being_read_or_ended(
    platform: Platform,
) -> None:
    started = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(
        energy(600, "-1e25"),
        energy(700, "-5e24"),
        energy(800, "1e25", measurand=POWER),
        transaction_id=started,
    )
    assert (await platform.session(started)).meter_summary.peak_power_w == 2**63 - 1
    assert (await platform.gateway.start(timestamp=at(7200))).transaction_id
    session = await platform.session(started)
    assert (session.stop_source, session.meter_stop_wh) == (pb.Session.SOURCE_INFERRED, 1000)
