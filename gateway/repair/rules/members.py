"""Rules for members that are too many, missing, misnamed or empty."""

import re

from gateway.repair.document import Fault
from gateway.repair.tables import DEFAULTS, LISTS, SAMPLE_MEANING


def field_name_case(fault: Fault) -> bool:
    """Rename a member whose name differs in case only: `Reason` for `reason`.

    Seen in StopTransaction of stations behind SteVe.
    """
    known = {_plain(name): name for name in fault.error.owner.get("properties", {})}
    renamed = {
        name: known[_plain(name)]
        for name in fault.value
        if name not in known.values() and known.get(_plain(name), name) not in fault.value
    }
    if not renamed:
        return False
    return fault.replace({renamed.get(name, name): value for name, value in fault.value.items()})


def unknown_field_dropped(fault: Fault) -> bool:
    """Drop members that the schema does not know: `connectorId` in Authorize.

    Seen from multi-connector columns; sender and receiver may disagree about extensions.
    """
    known = fault.error.owner.get("properties", {})
    return fault.replace({name: value for name, value in fault.value.items() if name in known})


def payload_missing(fault: Fault) -> bool:
    """Read a payload that is absent, null, `[]` or an empty text as `{}`.

    Seen from embedded JSON writers that have nothing to say in a Heartbeat.
    """
    return not fault.path and not fault.value and _is_empty(fault.value) and fault.replace({})


def null_dropped(fault: Fault) -> bool:
    """Drop null: in OCPP an absent member is absent.

    Seen in optional texts of MeterValues and in values of configuration keys that cannot be read.
    """
    return bool(fault.path) and fault.value is None and fault.drop()


def empty_text_dropped(fault: Fault) -> bool:
    """Drop an optional number, word or time that is an empty text.

    Seen from stations that fill every member they know, such as Huawei and Wallbox.
    """
    is_empty = isinstance(fault.value, str) and not fault.value.strip()
    return is_empty and fault.error.is_optional and fault.drop()


def member_defaulted(fault: Fault) -> bool:
    """Give a missing required member the value that says the least, by the table of defaults.

    Seen: no vendor in BootNotification, no idTag in free mode. The alternative, a CALLERROR, would
    be repeated for ever or cost a transaction.
    """
    name = fault.error.expected
    return name in DEFAULTS and fault.replace({**fault.value, name: DEFAULTS[name]})


def list_missing(fault: Fault) -> bool:
    """Give a missing list of meter values or samples as an empty one.

    Seen from stations without a meter, which have nothing to put into it.
    """
    name = fault.error.expected
    return name in LISTS and fault.replace({**fault.value, name: []})


def empty_list_kept(fault: Fault) -> bool:
    """Accept an empty list where the schema wants an item: it says nothing, and that is fine.

    Seen in MeterValues of Vestel and in transactionData of Sonnen.
    """
    return bool(fault.value == [])


def unreadable_member_dropped(fault: Fault) -> bool:
    """Drop an optional member that cannot be read, so that the rest of the message counts.

    Not where a meter sample would then mean something else.
    """
    keep = fault.name in SAMPLE_MEANING
    return fault.error.is_optional and not keep and fault.drop()


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def _is_empty(value: object) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())
