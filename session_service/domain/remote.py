"""What operators ask charge points to do with sessions."""

import uuid
from dataclasses import dataclass
from datetime import timedelta

_MAX_WAIT = timedelta(minutes=5)


@dataclass(frozen=True)
class Order:
    """How a command is asked for.

    Attributes:
        wait: How long to wait for the charge point's answer; zero: not at all.
        request_id: Identifies the request; empty: each makes a command.
        requester: Who asks; empty: nobody said.
    """

    wait: timedelta
    request_id: str
    requester: str


@dataclass(frozen=True)
class RemoteStart:
    """The wish for a session (OCPP 1.6 6.33).

    Attributes:
        connector_id: None: the charge point chooses.
        charging_profile: Serialized; None: no limit of its own.
    """

    charge_point_id: str
    id_tag: str
    connector_id: int | None = None
    charging_profile: bytes | None = None


def wait(value: timedelta) -> timedelta:
    """Parse how long a caller wants to wait for the answer.

    Raises:
        ValueError: It is not from 0 seconds to 5 minutes.
    """
    if not timedelta(0) <= value <= _MAX_WAIT:
        raise ValueError("must be from 0 seconds to 5 minutes")
    return value


def request_id(value: str) -> str:
    """Parse the id of a request; empty stands for none.

    Raises:
        ValueError: It is no UUID.
    """
    try:
        return str(uuid.UUID(value)) if value else ""
    except ValueError:
        raise ValueError("must be a UUID, or empty") from None
