"""The frames that the load generator sends."""

import json
from datetime import datetime, timedelta

_SAMPLE_SPACING = timedelta(milliseconds=10)
_COMMON = {"context": "Sample.Periodic", "format": "Raw", "location": "Outlet"}
_SAMPLES = (
    ("Voltage", "L1-N", "V", "230.%02d"),
    ("Voltage", "L2-N", "V", "231.%02d"),
    ("Voltage", "L3-N", "V", "229.%02d"),
    ("Current.Import", "L1", "A", "15.%02d"),
    ("Current.Import", "L2", "A", "16.%02d"),
    ("Current.Import", "L3", "A", "14.%02d"),
    ("Power.Active.Import", None, "W", "10350.%02d"),
    ("Energy.Active.Import.Register", None, "Wh", "%d"),
    ("Temperature", None, "Celsius", "41.%02d"),
    ("SoC", None, "Percent", "57.%02d"),
)
SAMPLES = len(_SAMPLES)


def call(number: int, action: str, payload: dict[str, object]) -> bytes:
    """Return a CALL frame; its message id is the number."""
    return json.dumps([2, str(number), action, payload], separators=(",", ":")).encode()


def list_version(message_id: str, version: int) -> bytes:
    """Return the CALLRESULT to a GetLocalListVersion."""
    return b'[3,%b,{"listVersion":%d}]' % (json.dumps(message_id).encode(), version)


def heartbeat(number: int) -> bytes:
    """Return a Heartbeat."""
    return b'[2,"%d","Heartbeat",{}]' % number


class MeterValues:
    """Makes MeterValues of ten samples, about 1,400 bytes, no two of a charge point alike.

    Args:
        transaction_id: The transaction that they belong to.
        first: The time of the first; the others follow every ten milliseconds.
    """

    def __init__(self, transaction_id: int, first: datetime) -> None:
        self._transaction_id, self._first = transaction_id, first

    def frame(self, number: int) -> bytes:
        """Return the frame with this number."""
        time = self._first + number * _SAMPLE_SPACING
        digits = number % 100
        values = (digits,) * 7 + (number, digits, digits)
        stamp = time.isoformat(timespec="milliseconds").encode()
        return _TEMPLATE % (number, self._transaction_id, stamp, *values)


def _sample(measurand: str, phase: str | None, unit: str, value: str) -> dict[str, str]:
    sample = {"value": value, "measurand": measurand, "unit": unit, **_COMMON}
    return sample if phase is None else {**sample, "phase": phase}


_TEMPLATE = b'[2,"%%d","MeterValues",{"connectorId":1,"transactionId":%%d,"meterValue":[%b]}]' % (
    b'{"timestamp":"%%b","sampledValue":%b}'
    % json.dumps([_sample(*sample) for sample in _SAMPLES], separators=(",", ":")).encode()
)
