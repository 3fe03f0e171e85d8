"""Meter values as rows: the digest tells repeats, whatever is done with units."""

from datetime import UTC, datetime, timedelta

import pytest

from csms.ocpp.v16 import types_pb2
from session_service.convert.meter_values import meter_values
from session_service.domain.facts import MeterReport, Receipt
from session_service.domain.meter_values import MeterValue
from session_service.store.meter_values import report_rows

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SAMPLE = types_pb2.SampledValue


def columns(*samples: types_pb2.SampledValue) -> list[str]:
    message = types_pb2.MeterValue(sampled_value=samples)
    message.timestamp.FromDatetime(NOON)
    report = MeterReport("CP-1", 1, None, Receipt(NOON), meter_values([message]))
    (row,) = report_rows(report)
    return row.rstrip("\n").split("\t")


@pytest.mark.parametrize(
    ("samples", "digest"),
    [
        (
            [
                SAMPLE(value="1000.10"),
                SAMPLE(
                    value="-0",
                    measurand=types_pb2.MEASURAND_VOLTAGE,
                    phase=types_pb2.PHASE_L1_N,
                    unit=types_pb2.UNIT_OF_MEASURE_V,
                ),
            ],
            "e44d080f750de5da64346f64da2b1c2f",
        ),
        (
            [
                SAMPLE(value="3.5004", unit=types_pb2.UNIT_OF_MEASURE_KWH),
                SAMPLE(value='AF"', format=types_pb2.VALUE_FORMAT_SIGNED_DATA),
            ],
            "03e06f8b331edc830393611f59310b33",
        ),
    ],
)
def test_digest_is_that_of_earlier_versions(
    samples: list[types_pb2.SampledValue], digest: str
) -> None:
    assert columns(*samples)[8] == digest


def test_digest_is_of_what_was_sent_and_not_of_what_it_means() -> None:
    watt_hours = columns(SAMPLE(value="3500", unit=types_pb2.UNIT_OF_MEASURE_WH))
    kilowatt_hours = columns(SAMPLE(value="3.500", unit=types_pb2.UNIT_OF_MEASURE_KWH))
    assert (watt_hours[-2], kilowatt_hours[-2]) == ("{3500}", "{3500}")
    assert watt_hours[8] != kilowatt_hours[8]


@pytest.mark.parametrize(
    "time",
    [
        NOON,
        NOON + timedelta(microseconds=1),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ],
)
def test_times_are_written_as_they_are(time: datetime) -> None:
    layout = meter_values([types_pb2.MeterValue(sampled_value=[SAMPLE(value="1")])])[0].layout
    report = MeterReport("CP-1", 1, None, Receipt(time), (MeterValue(time, layout, ("1",)),))
    (row,) = report_rows(report)
    fields = row.split("\t")
    assert (fields[4], fields[7]) == (time.isoformat(), time.isoformat())


def test_ordinary_values_are_kept_without_raw_texts() -> None:
    assert columns(SAMPLE(value="1.50"), SAMPLE(value="2"))[-2:] == ["{1.50,2}", "\\N"]
