"""Between the charge points' meter values and the domain."""

import functools
from collections.abc import Iterable

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16 import types_pb2
from servicekit.timestamps import to_datetime
from session_service.convert.words import words
from session_service.domain.facts import MeterReport, Receipt
from session_service.domain.meter_values import (
    MeterValue,
    SampleLayout,
    default_unit,
    sample_layout,
)

MEASURANDS = words(types_pb2.Measurand.DESCRIPTOR)
_PHASE = words(types_pb2.Phase.DESCRIPTOR)
_UNIT = words(types_pb2.UnitOfMeasure.DESCRIPTOR)
_CONTEXT = words(types_pb2.ReadingContext.DESCRIPTOR)
_LOCATION = words(types_pb2.Location.DESCRIPTOR)
_FORMAT = words(types_pb2.ValueFormat.DESCRIPTOR)
_LAYOUTS = 4096


def report(call: call_pb2.Call) -> MeterReport:
    """Return a message of meter values, without those that hold no sample.

    The call's own meter values are taken apart, and no copy: nobody needs them afterwards.

    Raises:
        ValueError: A time lies outside of the years 1 to 9999.
    """
    request = call.request.meter_values
    return MeterReport(
        call.charge_point_id,
        request.connector_id,
        request.transaction_id if request.HasField("transaction_id") else None,
        Receipt(to_datetime(call.receive_time), tuple(call.repairs), _without_nul(call.raw_frame)),
        meter_values(request.meter_value),
    )


def meter_values(messages: Iterable[types_pb2.MeterValue]) -> tuple[MeterValue, ...]:
    """Return meter values, without those that hold no sample; the messages are taken apart."""
    return tuple([_meter_value(message) for message in messages if message.sampled_value])


def _meter_value(message: types_pb2.MeterValue) -> MeterValue:
    """Take time and values out of a message: what is left is the layout, as bytes."""
    time = to_datetime(message.timestamp)
    message.ClearField("timestamp")
    values = []
    for sample in message.sampled_value:
        values.append(sample.value)
        sample.value = ""
    return MeterValue(time, _layout(message.SerializeToString()), tuple(values))


@functools.lru_cache(_LAYOUTS)
def _layout(meter_value: bytes) -> SampleLayout:
    """Return the layout of samples; 0 stands for what was absent (defaults: OCPP 1.6 7.43)."""
    samples = types_pb2.MeterValue.FromString(meter_value).sampled_value
    measurands = [MEASURANDS.get(s.measurand, "Energy.Active.Import.Register") for s in samples]
    return sample_layout(
        measurands=measurands,
        phases=[_PHASE.get(s.phase) for s in samples],
        sent_units=[
            _UNIT.get(sample.unit) or default_unit(measurand)
            for sample, measurand in zip(samples, measurands, strict=True)
        ],
        contexts=[_CONTEXT.get(s.context, "Sample.Periodic") for s in samples],
        locations=[_LOCATION.get(s.location, "Outlet") for s in samples],
        formats=[_FORMAT.get(s.format, "Raw") for s in samples],
    )


def _without_nul(text: str) -> str:
    return text.replace("\0", "\\u0000")
