"""Meter values as they are kept: in columns, each text only as far as it is a number.

A charge point repeats the same pattern of measurands, phases and units with every message, so the
pattern is one shared object, the layout, and a message only adds the values.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

ENERGY_REGISTER = "Energy.Active.Import.Register"
SIGNED = "SignedData"


@dataclass(frozen=True, slots=True, eq=False)
class SampleLayout:
    """What the values of a meter value are, position by position, in OCPP's words.

    Attributes:
        phases: None: the sum of all phases, or no phase.
        units: None: not known.
    """

    measurands: tuple[str, ...]
    phases: tuple[str | None, ...]
    units: tuple[str | None, ...]
    contexts: tuple[str, ...]
    locations: tuple[str, ...]
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeterValue:
    """What a meter showed at one time (OCPP 1.6 7.33).

    Attributes:
        sample_time: By the clock of the charge point; the time of receipt when it told none.
        values: As they were sent.
    """

    sample_time: datetime
    layout: SampleLayout
    values: tuple[str, ...]


@dataclass(frozen=True)
class StoredMeterValue:
    """A meter value as it was kept."""

    meter_value: MeterValue
    receive_time: datetime
    digest: str


def default_unit(measurand: str) -> str | None:
    """Return the unit of a value that was sent without one: Wh for energy, else not known."""
    return "Wh" if measurand.startswith("Energy.") else None


def numbers(layout: SampleLayout, values: Sequence[str]) -> Sequence[str | None]:
    """Return the values as PostgreSQL's `numeric` can hold them; None for what is no number."""
    joined = ",".join(values)
    plain = _PLAIN_LIST.fullmatch(joined) and joined.count(",") == len(values) - 1
    if plain and SIGNED not in layout.formats:
        return values
    return [
        None if kind == SIGNED else number(value)
        for kind, value in zip(layout.formats, values, strict=True)
    ]


def number(text: str) -> str | None:
    """Return a number in plain digits, trailing zeros kept; None for what is no number.

    Numbers beyond 30 digits on either side of the point are taken for text.
    """
    if not _DECIMAL.fullmatch(text):
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:  # an exponent that no computer can count to
        return None
    _, _, exponent = value.as_tuple()
    if not -_MAX_DIGITS <= int(exponent) <= _MAX_DIGITS or value.adjusted() > _MAX_DIGITS:
        return None
    return format(abs(value) if value.is_zero() else value, "f")


def register_wh(value: Decimal, unit: str | None) -> Decimal:
    """Return an energy register in Wh."""
    return value * 1000 if unit == "kWh" else value


_MAX_DIGITS = 30
_PLAIN_NUMBER = r"(?:-?[1-9][0-9]{0,29}|0)(?:\.[0-9]{1,30})?"
_PLAIN_LIST = re.compile(rf"{_PLAIN_NUMBER}(?:,{_PLAIN_NUMBER})*")
_DECIMAL = re.compile(
    r"\s{0,9}[+-]?(?:[0-9]{1,60}\.?[0-9]{0,60}|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,9})?\s{0,9}"
)
