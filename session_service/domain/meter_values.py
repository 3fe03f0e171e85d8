"""Meter values as they are kept: in columns, each text only as far as it is a number.

A charge point repeats the same pattern of measurands, phases and units with every message, so the
pattern is one shared object, the layout, and a message only adds the values.
"""

import enum
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from session_service.domain.units import Conversion, conversion

ENERGY_REGISTER = "Energy.Active.Import.Register"
SIGNED = "SignedData"
TRANSACTION_BEGIN = "Transaction.Begin"


class Attribution(enum.Enum):
    """How the session of a meter value was found."""

    TRANSACTION_ID = "TRANSACTION_ID"
    """It names the transaction of the session."""
    CONNECTOR_AND_TIME = "CONNECTOR_AND_TIME"
    """It names none that is right; the connector had the session at its time."""
    STOP_TRANSACTION = "STOP_TRANSACTION"
    """It came with the stop of the session."""
    NONE = "NONE"
    """It belongs to no session that is known."""


@dataclass(frozen=True, slots=True, eq=False)
class SampleLayout:
    """What the values of a meter value are, position by position, in OCPP's words.

    Attributes:
        phases: None: the sum of all phases, or no phase.
        units: What the values are kept in; None: not known.
        raw_units: As sent, where values are kept in another unit; None elsewhere.
        conversions: What makes values of `units` out of those of `raw_units`; empty: no unit
            of this layout is changed.
    """

    measurands: tuple[str, ...]
    phases: tuple[str | None, ...]
    units: tuple[str | None, ...]
    contexts: tuple[str, ...]
    locations: tuple[str, ...]
    formats: tuple[str, ...]
    raw_units: tuple[str | None, ...]
    conversions: tuple[Conversion | None, ...]

    @property
    def sent_units(self) -> tuple[str | None, ...]:
        """The units as they were sent."""
        return tuple([raw or unit for raw, unit in zip(self.raw_units, self.units, strict=True)])


class MeterValue(NamedTuple):
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
    """A meter value as it was kept.

    Attributes:
        transaction_id: As it was sent; None: none was sent.
        repairs: The repair rules that were applied to its message.
        raw_frame: The message as it was sent, when rules were applied; beside its first value only.
    """

    meter_value: MeterValue
    receive_time: datetime
    digest: str
    connector_id: int
    transaction_id: int | None
    session_id: uuid.UUID | None
    attribution: Attribution
    repairs: tuple[str, ...]
    raw_frame: str


MeterValueParent = uuid.UUID | tuple[str, int]
"""A session; or a charge point and the number of a connector."""


@dataclass(frozen=True)
class MeterValueFilter:
    """Which meter values a list shows.

    Attributes:
        measurand: Keeps the samples of one measurand, and the meter values that have some.
        interval: Keeps the last meter value of each interval, counted from 1970-01-01T00:00Z.
        start_time: Keeps what was measured at this time or later.
        end_time: Keeps what was measured before this time.
    """

    parent: MeterValueParent
    measurand: str | None = None
    interval: timedelta | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


def sample_layout(
    *,
    measurands: Sequence[str],
    phases: Sequence[str | None],
    sent_units: Sequence[str | None],
    contexts: Sequence[str],
    locations: Sequence[str],
    formats: Sequence[str],
) -> SampleLayout:
    """Return the layout of samples, with what is to be done with their units decided."""
    conversions = [
        None if kind == SIGNED else conversion(measurand, unit)
        for measurand, unit, kind in zip(measurands, sent_units, formats, strict=True)
    ]
    return SampleLayout(
        tuple(measurands),
        tuple(phases),
        tuple([c.unit if c else unit for c, unit in zip(conversions, sent_units, strict=True)]),
        tuple(contexts),
        tuple(locations),
        tuple(formats),
        tuple([unit if c else None for c, unit in zip(conversions, sent_units, strict=True)]),
        tuple(conversions) if any(conversions) else (),
    )


def default_unit(measurand: str) -> str | None:
    """Return the unit of a value that was sent without one: Wh for energy, else not known."""
    return "Wh" if measurand.startswith("Energy.") else None


def numbers(layout: SampleLayout, values: Sequence[str]) -> Sequence[str | None]:
    """Return the values, in the units that were sent, as PostgreSQL's `numeric` can hold them.

    None stands for what is no number.
    """
    joined = ",".join(values)
    plain = _PLAIN_LIST.fullmatch(joined) and joined.count(",") == len(values) - 1
    if plain and SIGNED not in layout.formats:
        return values
    return [
        None if kind == SIGNED else number(value)
        for kind, value in zip(layout.formats, values, strict=True)
    ]


def converted(layout: SampleLayout, sent: Sequence[str | None]) -> Sequence[str | None]:
    """Return numbers, as `numbers` made them, in the units that are kept."""
    if not layout.conversions:
        return sent
    return [
        text if text is None or how is None else _plain(how.apply(Decimal(text)))
        for text, how in zip(sent, layout.conversions, strict=True)
    ]


def kept_numbers(meter_value: MeterValue) -> Sequence[str | None]:
    """Return the values in the units of the layout; None for what is no number."""
    layout = meter_value.layout
    return converted(layout, numbers(layout, meter_value.values))


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
    return _plain(value)


def _plain(value: Decimal) -> str:
    return format(abs(value) if value.is_zero() else value, "f")


_MAX_DIGITS = 30
_PLAIN_NUMBER = r"(?:-?[1-9][0-9]{0,29}|0)(?:\.[0-9]{1,30})?"
_PLAIN_LIST = re.compile(rf"{_PLAIN_NUMBER}(?:,{_PLAIN_NUMBER})*")
_DECIMAL = re.compile(
    r"\s{0,9}[+-]?(?:[0-9]{1,60}\.?[0-9]{0,60}|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,9})?\s{0,9}"
)
