"""The identity of a charge point, read from the path of its WebSocket."""

from urllib.parse import unquote_to_bytes

PREFIX = "ocpp"
_MAX_LENGTH = 48


class MalformedIdentity(ValueError):
    """A path that holds no identity which could be registered; says why in constant words."""


def charge_point_id(path: str) -> str:
    """Return the identity in `/ocpp/{charge_point_id}`.

    Empty segments and a trailing slash are collapsed, as charge points join URLs carelessly. The
    identity is percent-decoded once: printable ASCII, at most 48 characters, without `/`.

    Raises:
        MalformedIdentity: There is none, or it has a character or a length that none may have.
    """
    segments = [segment for segment in path.partition("?")[0].split("/") if segment]
    if len(segments) < 2:
        raise MalformedIdentity("identity_missing")
    if segments[0] != PREFIX or len(segments) > 2:
        raise MalformedIdentity("path_unknown")
    return _decode(segments[1])


def _decode(segment: str) -> str:
    try:
        identity = unquote_to_bytes(segment).decode("ascii")
    except UnicodeError:
        raise MalformedIdentity("identity_not_ascii") from None
    if len(identity) > _MAX_LENGTH:
        raise MalformedIdentity("identity_too_long")
    if not identity.isprintable() or "/" in identity:
        raise MalformedIdentity("identity_character_not_allowed")
    return identity
