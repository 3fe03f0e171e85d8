"""Id tags: what they are and when they may charge."""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from servicekit.errors import ErrorKind, PlatformError

IdTagText = NewType("IdTagText", str)
"""The text of a tag as an operator wrote it (CiString20, OCPP 1.6 7.28)."""

_MAX_LENGTH = 20
_MAX_ACTIVE = 1000
_MAX_DISPLAY_NAME = 200


class IdTagNotFound(PlatformError):
    """No tag has this text."""

    kind, reason = ErrorKind.NOT_FOUND, "ID_TAG_NOT_FOUND"


class IdTagAlreadyExists(PlatformError):
    """A tag with this text, in whatever case, exists already."""

    kind, reason = ErrorKind.ALREADY_EXISTS, "ID_TAG_ALREADY_EXISTS"


class ParentIdTagUnusable(PlatformError):
    """The tag named as parent does not exist, or is the tag itself or below it."""

    kind, reason = ErrorKind.FAILED_PRECONDITION, "PARENT_ID_TAG_UNUSABLE"


class IdTagInUse(PlatformError):
    """Other tags name this one as their parent."""

    kind, reason = ErrorKind.FAILED_PRECONDITION, "ID_TAG_IN_USE"


class AuthorizationStatus(enum.Enum):
    """The answer to a tag (OCPP 1.6 7.2); `ConcurrentTx` is for session_service to tell."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"


@dataclass(frozen=True)
class IdTag:
    """A token with which a driver is known to charge points.

    Attributes:
        max_active_transactions: How many may run at the same time; 0 means any number.
        etag: Identifies this version of the tag.
    """

    text: IdTagText
    create_time: datetime
    update_time: datetime
    etag: str
    parent: IdTagText | None = None
    expire_time: datetime | None = None
    blocked: bool = False
    max_active_transactions: int = 0
    display_name: str = ""


@dataclass(frozen=True)
class Authorization:
    """What a charge point is told about a tag."""

    status: AuthorizationStatus
    expire_time: datetime | None = None
    parent: IdTagText | None = None
    max_active_transactions: int = 0


def authorize(tag: IdTag | None, now: datetime) -> Authorization:
    """Judge a tag: unknown is Invalid, blocked is Blocked, past its expiry is Expired."""
    if tag is None:
        return Authorization(AuthorizationStatus.INVALID)
    if tag.blocked:
        status = AuthorizationStatus.BLOCKED
    elif tag.expire_time is not None and tag.expire_time <= now:
        status = AuthorizationStatus.EXPIRED
    else:
        status = AuthorizationStatus.ACCEPTED
    return Authorization(status, tag.expire_time, tag.parent, tag.max_active_transactions)


def id_tag_text(value: str) -> IdTagText:
    """Parse the text of a tag.

    Raises:
        ValueError: It is not 1 to 20 printable ASCII characters without `/`.
    """
    printable = value.isascii() and value.isprintable()
    if not (1 <= len(value) <= _MAX_LENGTH and printable and "/" not in value):
        raise ValueError("must be 1 to 20 printable ASCII characters without '/'")
    return IdTagText(value)


def active_limit(value: int) -> int:
    """Parse a limit of transactions at the same time.

    Raises:
        ValueError: It is not from 0 to 1000.
    """
    if not 0 <= value <= _MAX_ACTIVE:
        raise ValueError("must be a number from 0 (no limit) to 1000")
    return value


def display_name(value: str) -> str:
    """Parse a name for people.

    Raises:
        ValueError: It is longer than 200 characters or holds control characters.
    """
    if len(value) > _MAX_DISPLAY_NAME or not (value.isprintable() or value == ""):
        raise ValueError("must be at most 200 printable characters")
    return value
