"""Between the operators' messages and meter values."""

import re
from datetime import datetime, timedelta
from typing import Literal

from google.protobuf.duration_pb2 import Duration

from csms.v1 import session_service_pb2 as pb
from servicekit.pagination import Page, PageRequest, page_request, page_size
from servicekit.parsing import Parsing
from servicekit.resource_names import child_ids
from servicekit.timestamps import to_datetime, to_timestamp
from session_service.convert.meter_values import MEASURANDS
from session_service.convert.names import SESSIONS, session_id
from session_service.domain.meter_values import (
    Attribution,
    MeterValueFilter,
    MeterValueParent,
    StoredMeterValue,
    kept_numbers,
)

_ATTRIBUTION = {
    Attribution.TRANSACTION_ID: pb.MeterValue.ATTRIBUTION_TRANSACTION_ID,
    Attribution.CONNECTOR_AND_TIME: pb.MeterValue.ATTRIBUTION_CONNECTOR_AND_TIME,
    Attribution.STOP_TRANSACTION: pb.MeterValue.ATTRIBUTION_STOP_TRANSACTION,
    Attribution.NONE: pb.MeterValue.ATTRIBUTION_NONE,
}
_WORDS = frozenset(MEASURANDS.values())
_DAY_S = 86_400
_INT32 = range(-(2**31), 2**31)
_Bound = Literal["start_time", "end_time"]


def list_request(request: pb.ListMeterValuesRequest) -> tuple[PageRequest, MeterValueFilter]:
    """Parse which page of which meter values is asked for."""
    with Parsing() as field:
        size = field("page_size", page_size, request.page_size)
        wanted = MeterValueFilter(
            parent=field("parent", _parent, request.parent),
            measurand=field("measurand", _measurand, request.measurand),
            interval=field("interval", _interval, request),
            start_time=_time(field, request, "start_time"),
            end_time=_time(field, request, "end_time"),
        )
    return page_request(size, request.page_token, "meterValues", wanted), wanted


def to_response(
    page: Page[StoredMeterValue], wanted: MeterValueFilter
) -> pb.ListMeterValuesResponse:
    """Return a page of meter values as operators see it, with the samples that are wanted."""
    return pb.ListMeterValuesResponse(
        meter_values=[_meter_value(stored, wanted.measurand) for stored in page.rows],
        next_page_token=page.next_page_token,
    )


def _meter_value(stored: StoredMeterValue, measurand: str | None) -> pb.MeterValue:
    samples = enumerate(stored.meter_value.layout.measurands)
    numbers = kept_numbers(stored.meter_value)
    return pb.MeterValue(
        sample_time=to_timestamp(stored.meter_value.sample_time),
        receive_time=to_timestamp(stored.receive_time),
        sampled_values=[
            _sample(stored, position, numbers[position])
            for position, word in samples
            if measurand in {None, word}
        ],
        session=f"{SESSIONS}/{stored.session_id}" if stored.session_id else "",
        attribution=_ATTRIBUTION[stored.attribution],
        repairs=stored.repairs,
        raw_frame=stored.raw_frame,
        connector_id=stored.connector_id,
        ocpp_transaction_id=stored.transaction_id,
    )


def _sample(stored: StoredMeterValue, position: int, number: str | None) -> pb.SampledValue:
    """Return a sample; what is no number was not converted and has the unit that was sent."""
    layout, sent = stored.meter_value.layout, stored.meter_value.values[position]
    unit, raw_unit = layout.units[position], layout.raw_units[position]
    if number is None:
        return pb.SampledValue(
            value=sent, unit=raw_unit or unit or "", **_meaning(stored, position)
        )
    return pb.SampledValue(
        value=number,
        unit=unit or "",
        raw_value=sent if sent != number else None,
        raw_unit=raw_unit,
        **_meaning(stored, position),
    )


def _meaning(stored: StoredMeterValue, position: int) -> dict[str, str]:
    layout = stored.meter_value.layout
    return {
        "measurand": layout.measurands[position],
        "phase": layout.phases[position] or "",
        "location": layout.locations[position],
        "context": layout.contexts[position],
        "format": layout.formats[position],
    }


def _parent(name: str) -> MeterValueParent:
    if "\0" in name:
        raise ValueError("must not hold a NUL character")
    if not name.startswith("chargePoints/"):
        return session_id(name)
    charge_point_id, connector = child_ids(name, "chargePoints", "connectors")
    if not re.fullmatch(r"0|-?[1-9][0-9]{0,9}", connector) or int(connector) not in _INT32:
        raise ValueError("must end with the number of a connector; 0 is the whole charge point")
    return charge_point_id, int(connector)


def _measurand(word: str) -> str | None:
    if word and word not in _WORDS:
        raise ValueError("must be a measurand of OCPP 1.6, such as Energy.Active.Import.Register")
    return word or None


def _interval(request: pb.ListMeterValuesRequest) -> timedelta | None:
    if not request.HasField("interval"):
        return None
    interval: Duration = request.interval
    if interval.nanos or not 1 <= interval.seconds <= _DAY_S:
        raise ValueError("must be full seconds, from 1 second to 1 day")
    return timedelta(seconds=interval.seconds)


def _time(field: Parsing, request: pb.ListMeterValuesRequest, name: _Bound) -> datetime | None:
    return field(name, to_datetime, getattr(request, name)) if request.HasField(name) else None
