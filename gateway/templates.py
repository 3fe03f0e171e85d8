"""Writes MeterValues that differ from earlier ones in their numbers only, as bytes (ADR 18).

A protobuf message is the sum of its fields: those that stay the same are written once and kept, and
what changes is put between them, each with its size in front.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16.charge_point_call_pb2 import ChargePointCall
from csms.ocpp.v16.core_pb2 import MeterValuesRequest
from csms.ocpp.v16.types_pb2 import MeterValue, SampledValue
from servicekit.wire import head

MAX_VALUE_BYTES: Final = 1024

_REQUEST: Final = call_pb2.Call.DESCRIPTOR.fields_by_name["request"].number
_METER_VALUES: Final = ChargePointCall.DESCRIPTOR.fields_by_name["meter_values"].number
_METER_VALUE: Final = MeterValuesRequest.DESCRIPTOR.fields_by_name["meter_value"].number
_TIMESTAMP: Final = MeterValue.DESCRIPTOR.fields_by_name["timestamp"].number
_SAMPLED_VALUE: Final = MeterValue.DESCRIPTOR.fields_by_name["sampled_value"].number
_VALUE: Final = SampledValue.DESCRIPTOR.fields_by_name["value"].number


class Template:
    """Writes requests that are like one with a single meter value.

    Args:
        like: The request, which is not kept.
    """

    def __init__(self, like: ChargePointCall) -> None:
        (meter_value,) = like.meter_values.meter_value
        self._samples = [_heads_and_rest(sample) for sample in meter_value.sampled_value]

    def write(
        self,
        connector_id: bytes,
        transaction_id: bytes | None,
        time: Mapping[str, int],
        values: Sequence[bytes],
    ) -> bytes:
        """Return a request as it stands in `Call.request`.

        Args:
            connector_id: Its digits.
            transaction_id: Its digits; None when the request names none.
            time: Fields of a Timestamp.
            values: Of the samples, in their order; each has `MAX_VALUE_BYTES` at most.
        """
        moment = Timestamp(**time).SerializeToString()
        pieces = [head(_TIMESTAMP, len(moment)), moment]
        for (heads, rest), value in zip(self._samples, values, strict=True):
            pieces += (heads[len(value)], value, rest)
        meter_value = b"".join(pieces)
        numbers = _numbers(connector_id, transaction_id)
        before, between = _around(len(numbers), len(meter_value))
        return b"".join((before, numbers, between, meter_value))


def _heads_and_rest(sample: SampledValue) -> tuple[Sequence[bytes], bytes]:
    """Return what stands before the value of a sample, by the value's size, and what behind it."""
    rest = SampledValue()
    rest.CopyFrom(sample)
    rest.ClearField("value")
    written = rest.SerializeToString()
    return _heads(len(written)), written


@functools.lru_cache(256)
def _heads(rest: int) -> Sequence[bytes]:
    inner = [head(_VALUE, size) for size in range(MAX_VALUE_BYTES + 1)]
    return [
        head(_SAMPLED_VALUE, len(before) + size + rest) + before
        for size, before in enumerate(inner)
    ]


@functools.lru_cache(4096)
def _numbers(connector_id: bytes, transaction_id: bytes | None) -> bytes:
    request = MeterValuesRequest(connector_id=int(connector_id))
    if transaction_id is not None:
        request.transaction_id = int(transaction_id)
    return request.SerializeToString()


@functools.lru_cache(4096)
def _around(numbers: int, meter_value: int) -> tuple[bytes, bytes]:
    """Return what stands before the numbers and before the meter value, by their sizes."""
    between = head(_METER_VALUE, meter_value)
    request = numbers + len(between) + meter_value
    inner = head(_METER_VALUES, request)
    return head(_REQUEST, len(inner) + request) + inner, between
