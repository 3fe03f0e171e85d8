"""What the rules look up. Names and words are those of OCPP 1.6."""

from collections.abc import Mapping
from typing import Any, Final

TOLERATED: Final = frozenset({"empty_list_kept"})
"""Rules that leave the payload as it is: the schema is stricter there than anyone needs."""

SYNONYMS: Final[Mapping[str, Mapping[str, str]]] = {
    "unit": {
        "c": "Celsius",
        "degc": "Celsius",
        "celcius": "Celsius",
        "celsius": "Celcius",
        "centigrade": "Celsius",
        "f": "Fahrenheit",
        "kelvin": "K",
        "hz": "Hertz",
        "percentage": "Percent",
        "pct": "Percent",
        "amp": "A",
        "amps": "A",
        "ampere": "A",
        "amperes": "A",
        "volt": "V",
        "volts": "V",
        "watt": "W",
        "watts": "W",
        "kilowatt": "kW",
        "watthour": "Wh",
        "watthours": "Wh",
        "kilowatthour": "kWh",
        "kilowatthours": "kWh",
    },
    "phase": {
        "phase1": "L1",
        "phase2": "L2",
        "phase3": "L3",
        "l1l3": "L3-L1",
        "l2l1": "L1-L2",
        "l3l2": "L2-L3",
        "neutral": "N",
    },
    "context": {"periodic": "Sample.Periodic", "clock": "Sample.Clock"},
    "location": {"vehicle": "EV"},
    "errorCode": {"": "NoError", "none": "NoError", "ok": "NoError"},
    "reason": {
        "evdisconnect": "EVDisconnected",
        "deauthorised": "DeAuthorized",
        "powerfailure": "PowerLoss",
        "emergency": "EmergencyStop",
    },
    "status": {"installfailed": "InstallationFailed", "uploadfailure": "UploadFailed"},
}
"""By member: other spellings, reduced to lower-case letters and digits, and the word meant.

A synonym counts only where the schema has the word: StopTransaction knows no Hertz.
"""

UNIT_SIGNS: Final[Mapping[str, str]] = {"%": "Percent", "°C": "Celsius", "°F": "Fahrenheit"}
"""Units that consist of signs, as sent."""

OTHER: Final[Mapping[str, str]] = {"context": "Other", "reason": "Other"}
"""By member: the word of OCPP for what has no word of its own."""

WHOLE_PHASES: Final = frozenset({"", "all", "total", "sum", "none", "3phase", "l1l2l3"})
"""Spellings of "all phases together", which OCPP says by leaving `phase` out."""

UNITLESS_MEASURANDS: Final = frozenset({"Frequency", "Power.Factor", "RPM", "SoC"})
"""Measurands that come in one unit only, so an unknown unit says nothing about the scale."""

SAMPLE_MEANING: Final = frozenset({"value", "measurand", "unit", "phase", "location"})
"""Members without which a sample would mean something else than the charge point measured."""

LOCATED: Final = ("Energy.", "Power.")
"""Kinds of measurands whose location matters: what the grid delivers, no outlet need have got."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "chargePointModel": "",
    "chargePointVendor": "",
    "errorCode": "NoError",
    "idTag": "",
    "readonly": False,
    "transactionId": 0,
    "vendorId": "",
}
"""By required member: the value that says the least, so that the message can be processed.

An empty tag is invalid, transaction 0 is none, an empty vendor is unknown. There is none for
meter registers (they are money), for connectors and for states: guessing these would lie. A
missing register has a rule of its own, by which the services know that there was none.
"""

LISTS: Final = frozenset({"meterValue", "sampledValue"})
"""Required lists that may as well be empty."""

JSON_TEXTS: Final = frozenset({"data", "info", "techInfo"})
"""Texts that charge points fill with JSON, at times without quoting it."""

REGISTERS: Final = frozenset({"meterStart", "meterStop"})
"""Meter registers in whole Wh."""
UNCUTTABLE: Final = frozenset({"csr"})
"""Texts that are worth nothing when cut."""
