"""Rules for texts that are too long."""

import re
from typing import Final

from gateway.repair.document import Fault
from gateway.repair.tables import UNCUTTABLE

# Control characters anywhere, and what is no part of a tag at its ends.
_NO_TAG: Final = re.compile(r"[\x00-\x1f\x7f]|^[\s-]+|[\s-]+$")


def id_tag_trimmed(fault: Fault) -> bool:
    """Free an over-long id tag of control characters and of dashes and blanks at its ends.

    Seen: Sigenergy appends a dash to a tag of 20 characters, Ocular two control characters.
    """
    trimmed = _NO_TAG.sub("", fault.value)
    fits = 0 < len(trimmed) <= fault.error.expected
    return fault.name == "idTag" and fits and fault.replace(trimmed)


def id_tag_too_long(fault: Fault) -> bool:
    """Replace an over-long id tag by an empty one where it decides who may charge.

    No such tag can be registered, and its first 20 characters may be somebody else's. The
    transaction exists all the same. StopTransaction must be accepted: there the tag is cut.
    """
    decides = fault.name == "idTag" and fault.action in {"Authorize", "StartTransaction"}
    return decides and fault.replace("")


def text_cut(fault: Fault) -> bool:
    """Cut a text to the length that the schema allows.

    Seen: `info` over 50 characters (Etrel, HICI), a model over 20, values over 500 (Wallbox).
    """
    return fault.name not in UNCUTTABLE and fault.replace(fault.value[: fault.error.expected])
