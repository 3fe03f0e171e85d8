"""Rules for values of another JSON type than the schema's."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from gateway.repair.document import Fault
from gateway.repair.tables import JSON_TEXTS, REGISTERS

_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def object_as_list(fault: Fault) -> bool:
    """Read one object as a list of one: `"meterValue":{}`. Seen from Huawei."""
    return (
        _expects(fault, "array") and isinstance(fault.value, dict) and fault.replace([fault.value])
    )


def list_as_object(fault: Fault) -> bool:
    """Read a list of one object as the object.

    Seen from JSON writers that know lists only.
    """
    value = fault.value
    is_one = isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict | list)
    return _expects(fault, "object") and is_one and fault.replace(value[0])


def json_as_text(fault: Fault) -> bool:
    """Write JSON as text where the specification wants a text of the vendor's own choice.

    Seen in `data` of DataTransfer: most vendors quote the JSON in it, some do not.
    """
    fits = fault.name in JSON_TEXTS and isinstance(fault.value, dict | list)
    return _expects(fault, "string") and fits and fault.replace(_dumps(fault.value))


def boolean_as_text(fault: Fault) -> bool:
    """Write true and false as text. Seen in values of configuration keys."""
    is_boolean = isinstance(fault.value, bool)
    return _expects(fault, "string") and is_boolean and fault.replace(_dumps(fault.value))


def number_as_text(fault: Fault) -> bool:
    """Write a number as text, with the digits that JSON had: `604.213`.

    Seen in `value` of samples from OpenEVSE. Zeros at the end of a fraction are lost by then.
    """
    is_number = _is_number(fault.value)
    return _expects(fault, "string") and is_number and fault.replace(_digits(fault.value))


def text_as_number(fault: Fault) -> bool:
    """Read a number that is sent as text: `"12"`.

    Seen from stations that keep all their values as texts.
    """
    number = _number(fault.value) if _expects(fault, "integer", "number") else None
    return number is not None and fault.replace(number)


def text_as_boolean(fault: Fault) -> bool:
    """Read `true`, `True`, `1`, `"1"` and their opposites as booleans.

    Seen in `readonly` of configuration keys.
    """
    word = str(fault.value).strip().lower()
    return _expects(fault, "boolean") and word in _BOOLEANS and fault.replace(_BOOLEANS[word])


def whole_number_as_integer(fault: Fault) -> bool:
    """Read `12.0` as 12. Seen from stations whose JSON writer knows only one kind of number."""
    is_whole = isinstance(fault.value, float) and fault.value.is_integer()
    return _expects(fault, "integer") and is_whole and fault.replace(int(fault.value))


def fractional_register_rounded(fault: Fault) -> bool:
    """Round a meter register to whole Wh, halves to even.

    Seen from stations that compute the register from kWh.
    """
    fits = fault.name in REGISTERS and isinstance(fault.value, float)
    return _expects(fault, "integer") and fits and fault.replace(round(fault.value))


def register_missing(fault: Fault) -> bool:
    """Take a start or a stop without its register for one; see `register_unreadable`."""
    name = fault.error.expected
    return name in REGISTERS and fault.replace({**fault.value, name: 0})


def register_unreadable(fault: Fault) -> bool:
    """Take a register that is no number, or beyond 64 bits, for none.

    0 stands in its place and counts for nothing: by the name of this rule the services know that
    the register is not known. Refused, the message would be repeated for ever or lost.
    """
    return fault.name in REGISTERS and fault.replace(0)


def transaction_id_unreadable(fault: Fault) -> bool:
    """Read a transaction id that is no number as 0, which is none.

    The services then find the transaction by connector, tag and meter.
    """
    return fault.name == "transactionId" and fault.replace(0)


def transaction_id_out_of_range(fault: Fault) -> bool:
    """Read a transaction id beyond 64 bits as 0, which is none.

    Seen from Alfen, which makes up an id near that limit when it has none.
    """
    return fault.name == "transactionId" and fault.replace(0)


def _expects(fault: Fault, *types: str) -> bool:
    return any(name in types for name in fault.error.expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _digits(value: float) -> str:
    return format(Decimal(repr(value)), "f")


def _number(value: Any) -> int | float | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > 40:
        return None
    return int(number) if number == int(number) else float(number)


def _dumps(value: Any) -> str:
    # Not orjson: it refuses integers beyond 64 bits.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
