"""Rules for words that are not in the schema's list."""

import re

from gateway.repair.document import Fault
from gateway.repair.tables import (
    LOCATED,
    OTHER,
    SAMPLE_MEANING,
    SYNONYMS,
    UNIT_SIGNS,
    UNITLESS_MEASURANDS,
)


def enum_case(fault: Fault) -> bool:
    """Write a word as the schema does when only case, blanks or punctuation differ: `L1N`, `kwh`.

    Seen from several makers in units, phases and states.
    """
    known = {plain(word): word for word in fault.error.expected}
    key = plain(fault.value) if isinstance(fault.value, str) else ""
    return key in known and fault.replace(known[key])


def enum_synonym(fault: Fault) -> bool:
    """Write another spelling of a word as the schema does, by the table of synonyms.

    Seen: `C` (OpenEVSE) and `Celcius` for Celsius, `Hz` for Hertz (Charge Amps), `%` for Percent.
    """
    if not isinstance(fault.value, str):
        return False
    by_member = SYNONYMS.get(str(fault.name), {})
    word = UNIT_SIGNS.get(fault.value.strip()) if fault.name == "unit" else None
    word = word or by_member.get(plain(fault.value))
    return word in fault.error.expected and fault.replace(word)


def error_code_unknown(fault: Fault) -> bool:
    """Read an unknown error code as OtherError; the code is kept in `vendorErrorCode` if free.

    Seen: `Error` from Legrand.
    """
    if fault.name != "errorCode" or not isinstance(fault.value, str):
        return False
    owner = fault.document.get(fault.path[:-1])
    owner["vendorErrorCode"] = owner.get("vendorErrorCode") or fault.value
    return fault.replace("OtherError")


def enum_unknown_other(fault: Fault) -> bool:
    """Read an unknown context or stop reason as `Other`, the word of OCPP for the rest."""
    other = OTHER.get(str(fault.name))
    return other in fault.error.expected and fault.replace(other)


def enum_unknown_dropped(fault: Fault) -> bool:
    """Drop an optional word that is unknown and changes no quantity: a format, say.

    A unit is dropped only where the measurand has just one (`Hertz` in StopTransaction), and a
    location not where energy or power would become that of the outlet.
    """
    harmless = fault.name not in SAMPLE_MEANING or _says_nothing(fault)
    return fault.error.is_optional and harmless and fault.drop()


def plain(word: str) -> str:
    """Reduce a word to its letters and digits in lower case."""
    return re.sub(r"[\W_]", "", word).casefold()


def _says_nothing(fault: Fault) -> bool:
    measurand = str(fault.document.get(fault.path[:-1]).get("measurand", "Energy."))
    if fault.name == "location":
        return not measurand.startswith(LOCATED)
    return fault.name == "unit" and measurand in UNITLESS_MEASURANDS
