"""The names of resources in requests."""

import uuid

from servicekit.resource_names import resource_id

SESSIONS = "sessions"

_MOST_CHARACTERS = 500


def session_id(name: str) -> uuid.UUID:
    """Parse `sessions/{session}`.

    Raises:
        ValueError: It has another shape.
    """
    text = resource_id(name, SESSIONS)
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValueError("must be a name like sessions/0190a7c2-…, with a UUID") from None


def charge_point_id(name: str) -> str | None:
    """Parse `chargePoints/{charge_point}`; None when it is empty.

    Raises:
        ValueError: It has another shape.
    """
    return resource_id(_without_nul(name), "chargePoints") if name else None


def id_tag(name: str) -> str | None:
    """Parse the name of a tag, which holds any characters, `/` among them; None when it is empty.

    Raises:
        ValueError: It has another shape.
    """
    if not name:
        return None
    prefix, _, text = _without_nul(name).partition("/")
    if prefix != "idTags" or not text:
        raise ValueError("must be a name like idTags/…")
    return text


def comment(text: str) -> str:
    """Parse what an operator says about what they do.

    Raises:
        ValueError: It is longer than 500 characters, or holds a NUL.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"must have at most {_MOST_CHARACTERS} characters")
    return _without_nul(text)


def _without_nul(name: str) -> str:
    if "\0" in name:
        raise ValueError("must not hold a NUL character")
    return name
