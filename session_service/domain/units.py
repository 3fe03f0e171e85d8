"""Units: what charge points send, and what their values are kept in.

Energy is kept in Wh and varh, power in W, VA and var, temperature in Celsius. All is exact but for
Fahrenheit, which has no finite fraction in Celsius: two more digits are kept than were sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal


@dataclass(frozen=True)
class Conversion:
    """How values of a unit become values of the unit that is kept."""

    unit: str
    apply: Callable[[Decimal], Decimal]


def conversion(measurand: str, unit: str | None) -> Conversion | None:
    """Return what is to be done with a unit; None: it is kept.

    A unit that has nothing to do with the measurand (kW for a frequency) tells nothing about the
    scale and is left alone.
    """
    if unit is None:
        return None
    kind, found = _CONVERSIONS.get(unit, _KEPT)
    return found if measurand.startswith(kind) else None


def _kilo(value: Decimal) -> Decimal:
    return value.scaleb(3, _EXACT)


def _same(value: Decimal) -> Decimal:
    return value


def _from_kelvin(value: Decimal) -> Decimal:
    return _EXACT.subtract(value, _ZERO_CELSIUS)


def _from_fahrenheit(value: Decimal) -> Decimal:
    celsius = _EXACT.divide(_EXACT.multiply(_EXACT.subtract(value, Decimal(32)), Decimal(5)), _NINE)
    exponent = min(0, int(value.as_tuple().exponent)) - 2
    return celsius.quantize(Decimal(1).scaleb(exponent), ROUND_HALF_EVEN, _EXACT)


_EXACT = Context(prec=120)
_ZERO_CELSIUS = Decimal("273.15")
_NINE = Decimal(9)
_KEPT: tuple[str, Conversion | None] = ("", None)
_CONVERSIONS: dict[str, tuple[str, Conversion | None]] = {
    "kWh": ("Energy.", Conversion("Wh", _kilo)),
    "kvarh": ("Energy.", Conversion("varh", _kilo)),
    "kW": ("Power.", Conversion("W", _kilo)),
    "kVA": ("Power.", Conversion("VA", _kilo)),
    "kvar": ("Power.", Conversion("var", _kilo)),
    "K": ("Temperature", Conversion("Celsius", _from_kelvin)),
    "Fahrenheit": ("Temperature", Conversion("Celsius", _from_fahrenheit)),
    "Celcius": ("", Conversion("Celsius", _same)),
}
