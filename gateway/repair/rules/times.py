"""Rules for times: RFC 3339 out of what charge points write."""

import re
from datetime import UTC, datetime
from typing import Final

from gateway.repair.document import Fault

_TIME: Final = re.compile(
    r"\s*(?P<date>\d{4}-\d\d-\d\d)[Tt\s]\s*(?P<minute>\d\d:\d\d)(?P<second>:\d\d)?"
    r"(?:[.,](?P<fraction>\d*))?\s*(?P<zone>[Zz]|[+-]\d\d(?::?\d\d)?)?\s*",
    re.ASCII,
)


def time_spelling(fault: Fault) -> bool:
    """Write a time with `T`, seconds and a point: `2026-01-02 03:04,5Z` is readable.

    Seen from stations whose firmware prints the time with its own format text.
    """
    match = _read(fault)
    spelled = "" if match is None else _spell(match) + (match["zone"] or "").upper()
    return spelled not in {"", fault.value} and fault.replace(spelled)


def time_without_zone(fault: Fault) -> bool:
    """Read a time without zone as UTC. Seen from Growatt and AEFA."""
    match = _read(fault)
    return match is not None and match["zone"] is None and fault.replace(_spell(match) + "Z")


def time_short_offset(fault: Fault) -> bool:
    """Write an offset in full: `+02` and `+0200` become `+02:00`.

    Seen from stations that print the offset as the C library does.
    """
    match = _read(fault)
    zone = "" if match is None or match["zone"] is None else match["zone"]
    if match is None or len(zone) not in {3, 5}:
        return False
    return fault.replace(f"{_spell(match)}{zone[:3]}:{zone[3:] or '00'}")


def time_leap_second(fault: Fault) -> bool:
    """Read a leap second as the second before it: `23:59:60Z` has no place in a database."""
    spelled = fault.value[:17] + "59" + fault.value[19:]
    return fault.value[17:19] == "60" and fault.replace(spelled)


def time_replaced(fault: Fault) -> bool:
    """Replace what is no time by the time of reception: `0000-00-00T00:00:00.000Z`.

    So is a time at the edges of the calendar, which another zone would carry beyond them. Seen
    from AcTEC before the clock is set.
    """
    is_time = fault.error.expected == "date-time" or fault.error.keyword == "not"
    return is_time and fault.replace(_written(fault.received_at))


def time_missing(fault: Fault) -> bool:
    """Give a required `timestamp` that is missing the time of reception.

    Seen in StartTransaction of a station tested with CitrineOS.
    """
    if fault.error.expected != "timestamp":
        return False
    return fault.replace({**fault.value, "timestamp": _written(fault.received_at)})


def _read(fault: Fault) -> re.Match[str] | None:
    return _TIME.fullmatch(fault.value) if fault.error.expected == "date-time" else None


def _spell(match: re.Match[str]) -> str:
    fraction = f".{match['fraction']}" if match["fraction"] else ""
    return f"{match['date']}T{match['minute']}{match['second'] or ':00'}{fraction}"


def _written(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
