"""ListMeterValues: pages, filters, down-sampling, what is told about each value."""

from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from csms.ocpp.v16 import core_pb2, types_pb2
from csms.v1 import session_service_pb2 as pb
from servicekit.timestamps import to_datetime
from tests.integration.session_service.conftest import T0, Platform, at, energy
from tests.support.errors import failure
from tests.support.pages import every_page

CONNECTOR = "chargePoints/CP-1/connectors/1"
SAMPLE = types_pb2.SampledValue
POWER = types_pb2.MEASURAND_POWER_ACTIVE_IMPORT
PHASES = (types_pb2.PHASE_L1, types_pb2.PHASE_L2)


async def walk(
    platform: Platform, parent: str, page_size: int, **filters: Any
) -> list[pb.MeterValue]:
    """Return the meter values of all pages; no page is longer than asked for."""
    request = pb.ListMeterValuesRequest(parent=parent, page_size=page_size, **filters)
    pages = await every_page(platform.sessions.ListMeterValues, request)
    assert max(len(page.meter_values) for page in pages) <= page_size
    return [value for page in pages for value in page.meter_values]


def seconds(values: list[pb.MeterValue]) -> list[float]:
    """Return the times of values, in seconds after the tests' noon."""
    return [(to_datetime(value.sample_time) - T0).total_seconds() for value in values]


def every(**interval: float) -> Duration:
    message = Duration()
    message.FromTimedelta(timedelta(**interval))
    return message


@pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
async def test_every_value_is_on_one_page_by_time(platform: Platform, page_size: int) -> None:
    started = (await platform.gateway.start()).transaction_id
    values = [energy(second, str(number)) for number, second in enumerate((3, 1, 2, 1, -1))]
    await platform.gateway.meter(*values, transaction_id=started)
    await platform.gateway.meter(energy(7, "0"), connector_id=2)
    session = await platform.the_session()
    for parent in (session.name, CONNECTOR):
        found = await walk(platform, parent, page_size)
        assert seconds(found) == [-1, 1, 1, 2, 3]
        assert {value.sampled_values[0].value for value in found} == set("01234")
    assert seconds(await walk(platform, CONNECTOR.replace("/1", "/2"), page_size)) == [7]


@pytest.mark.parametrize("connector_id", [-(2**31), -1, 0, 2**31 - 1])
async def test_value_of_any_number_that_was_sent_is_listed(
    platform: Platform, connector_id: int
) -> None:
    await platform.gateway.meter(energy(7, "0"), connector_id=connector_id)
    parent = f"chargePoints/CP-1/connectors/{connector_id}"
    (value,) = await walk(platform, parent, 2)
    assert value.connector_id == connector_id


async def test_times_bound_a_list(platform: Platform) -> None:
    await platform.gateway.meter(*(energy(second, "1") for second in range(5)))
    bounded = {"start_time": at(1), "end_time": at(4)}
    assert seconds(await walk(platform, CONNECTOR, 2, **bounded)) == [1, 2, 3]


async def test_measurand_keeps_its_samples_and_the_values_that_have_some(
    platform: Platform,
) -> None:
    for second in range(6):
        samples = [
            SAMPLE(value="1"),
            SAMPLE(value=f"{second}", measurand=POWER, phase=PHASES[second % 2]),
        ]
        both = types_pb2.MeterValue(timestamp=at(second), sampled_value=samples)
        await platform.gateway.meter(both, energy(second + 0.5, "2"))
    found = await walk(platform, CONNECTOR, 2, measurand="Power.Active.Import")
    assert seconds(found) == list(range(6))
    assert [[s.value for s in value.sampled_values] for value in found] == [
        [str(second)] for second in range(6)
    ]
    assert await walk(platform, CONNECTOR, 2, measurand="SoC") == []


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 1000])
async def test_interval_keeps_the_last_value_of_each(platform: Platform, page_size: int) -> None:
    times = [-61, -1, 0, 1, 59.999, 60, 130, 130, 131, 240, 301]
    await platform.gateway.meter(
        *(energy(second, str(number)) for number, second in enumerate(times))
    )
    found = await walk(platform, CONNECTOR, page_size, interval=every(minutes=1))
    assert seconds(found) == [-61, -1, 59.999, 60, 131, 240, 301]
    found = await walk(platform, CONNECTOR, page_size, interval=every(days=1))
    assert seconds(found) == [301]


async def test_interval_counts_among_what_the_other_filters_keep(platform: Platform) -> None:
    power = SAMPLE(value="7", measurand=POWER)
    values = [types_pb2.MeterValue(timestamp=at(s), sampled_value=[power]) for s in (1, 61, 62)]
    await platform.gateway.meter(*values, energy(2, "1"), energy(63, "1"))
    wanted = {"interval": every(minutes=1), "measurand": "Power.Active.Import"}
    assert seconds(await walk(platform, CONNECTOR, 1, **wanted)) == [1, 62]
    assert seconds(await walk(platform, CONNECTOR, 1, **wanted, end_time=at(62))) == [1, 61]


async def test_page_token_is_good_for_its_own_filters_only(platform: Platform) -> None:
    await platform.gateway.meter(energy(1, "1"), energy(2, "1"))
    request = pb.ListMeterValuesRequest(parent=CONNECTOR, page_size=1)
    request.page_token = (await platform.sessions.ListMeterValues(request)).next_page_token
    request.interval.seconds = 60
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.sessions.ListMeterValues(request)
    assert failure(raised).reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("measurand", "Energy"),
        ("interval", Duration(seconds=0)),
        ("interval", Duration(seconds=-60)),
        ("interval", Duration(seconds=1, nanos=1)),
        ("interval", Duration(seconds=86_401)),
        ("start_time", {"seconds": 2**60}),
        ("end_time", {"seconds": 2**60}),
        ("parent", "chargePoints/CP-1"),
        ("parent", "chargePoints/CP-1/connectors/x"),
        ("parent", "chargePoints/CP-1/connectors/01"),
        ("parent", "chargePoints/CP-1/connectors/2147483648"),
        ("parent", "chargePoints/CP-1/connectors/-2147483649"),
        ("parent", "chargePoints/CP-1/connectors/-0"),
        ("parent", "chargePoints/CP\0/connectors/1"),
        ("parent", "sessions/1"),
    ],
)
async def test_filter_that_means_nothing_is_refused(
    platform: Platform, field: str, value: Any
) -> None:
    request = pb.ListMeterValuesRequest(**{"parent": CONNECTOR, field: value})
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.sessions.ListMeterValues(request)
    assert failure(raised).fields == (field,)


async def test_value_tells_what_was_changed_and_what_was_sent(platform: Platform) -> None:
    samples = [
        SAMPLE(value="3.5004", unit=types_pb2.UNIT_OF_MEASURE_KWH),
        SAMPLE(value="n/a", unit=types_pb2.UNIT_OF_MEASURE_KWH),
        SAMPLE(
            value="70",
            measurand=types_pb2.MEASURAND_TEMPERATURE,
            unit=types_pb2.UNIT_OF_MEASURE_FAHRENHEIT,
        ),
        SAMPLE(
            value="21",
            measurand=types_pb2.MEASURAND_TEMPERATURE,
            unit=types_pb2.UNIT_OF_MEASURE_CELCIUS,
        ),
        SAMPLE(value="0", unit=types_pb2.UNIT_OF_MEASURE_KWH),
        SAMPLE(value="7400", measurand=POWER, unit=types_pb2.UNIT_OF_MEASURE_W),
    ]
    await platform.gateway.meter(types_pb2.MeterValue(timestamp=at(0), sampled_value=samples))
    (value,) = await walk(platform, CONNECTOR, 10)
    assert [
        (
            s.value,
            s.unit,
            s.HasField("raw_value") and s.raw_value,
            s.HasField("raw_unit") and s.raw_unit,
        )
        for s in value.sampled_values
    ] == [
        ("3500.4", "Wh", "3.5004", "kWh"),
        ("n/a", "kWh", False, False),
        ("21.11", "Celsius", "70", "Fahrenheit"),
        ("21", "Celsius", False, "Celcius"),
        ("0", "Wh", False, "kWh"),
        ("7400", "W", False, False),
    ]


async def test_value_tells_what_its_message_said(platform: Platform) -> None:
    request = core_pb2.MeterValuesRequest(
        connector_id=1, transaction_id=-1, meter_value=[energy(1, "1"), energy(2, "2")]
    )
    await platform.gateway.exchange("CP-1", request, repairs=["enum_synonym"], raw_frame="[2]")
    await platform.gateway.meter(energy(3, "3"))
    first, second, third = await walk(platform, CONNECTOR, 10)
    assert (list(first.repairs), first.raw_frame) == (["enum_synonym"], "[2]")
    assert (first.connector_id, first.ocpp_transaction_id) == (1, -1)
    assert (list(second.repairs), second.raw_frame) == ([], "")
    assert second.ocpp_transaction_id == -1
    assert not third.HasField("ocpp_transaction_id")
    assert (third.session, third.attribution) == ("", pb.MeterValue.ATTRIBUTION_NONE)
