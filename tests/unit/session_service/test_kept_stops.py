"""A stop that waits for its start: what is kept of it is what was sent."""

from datetime import UTC, datetime

from csms.ocpp.v16 import core_pb2, types_pb2
from servicekit.calls.server import CallContext
from servicekit.timestamps import to_timestamp
from session_service.convert.ocpp import kept_stop, stop

CONTEXT = CallContext("CP-1", "c1", "m1", datetime(2026, 3, 1, 13, tzinfo=UTC), (), "")


def test_reading_the_meter_values_of_a_stop_leaves_it_as_it_was() -> None:
    request = core_pb2.StopTransactionRequest(
        transaction_id=4711,
        transaction_data=[
            types_pb2.MeterValue(
                timestamp=to_timestamp(datetime(2026, 3, 1, 12, tzinfo=UTC)),
                sampled_value=[types_pb2.SampledValue(value="1600")],
            )
        ],
    )
    first = stop(CONTEXT, request)
    again = stop(CONTEXT, request)
    kept = kept_stop(first.message())
    assert first.meter_values[0].values == ("1600",)
    assert first.meter_values == again.meter_values == kept.meter_values
    assert first.digest == again.digest == kept.digest
    assert '"1600"' in first.raw_text()
