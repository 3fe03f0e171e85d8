"""Rules for meter samples: one bad sample must not cost the others."""

from gateway.repair.document import Fault
from gateway.repair.rules.words import plain
from gateway.repair.tables import WHOLE_PHASES


def empty_sample_dropped(fault: Fault) -> bool:
    """Drop a sample without a value; null counts as without.

    Seen from stations whose meter does not answer. An empty text as value is valid OCPP and stays.
    """
    return fault.error.expected == "value" and _drop_item(fault, "sampledValue")


def phase_total_dropped(fault: Fault) -> bool:
    """Drop a `phase` that means all phases together: OCPP says that by its absence."""
    is_total = isinstance(fault.value, str) and plain(fault.value) in WHOLE_PHASES
    return fault.name == "phase" and is_total and fault.drop()


def sample_dropped(fault: Fault) -> bool:
    """Drop a sample that cannot be understood.

    An unknown measurand is not simply left out: the sample would become an energy register. An
    unknown unit or phase would change its scale or make a part of it the whole, an unknown location
    would make what the grid delivers the energy of a session.
    """
    return _drop_item(fault, "sampledValue")


def meter_value_dropped(fault: Fault) -> bool:
    """Drop one entry of `meterValue` or `transactionData` that cannot be understood."""
    return _drop_item(fault, "meterValue", "transactionData")


def _drop_item(fault: Fault, *lists: str) -> bool:
    path = fault.prefix_ending_in_item_of(*lists)
    return path is not None and fault.drop(path)
