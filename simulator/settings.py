"""What a charge point is, and what those of one fleet have in common."""

from dataclasses import dataclass

from servicekit.clock import Clock
from simulator.connector import Pace
from simulator.session import Outlet


@dataclass(frozen=True, kw_only=True)
class Model:
    """What a charge point says of itself in BootNotification, and its outlets."""

    vendor: str
    name: str
    firmware: str
    outlets: tuple[Outlet, ...]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What charge points of one fleet have in common.

    Attributes:
        url: The central system's address, to which the identity is appended.
        pace: How fast life goes.
        meter_interval_s: Seconds between two MeterValues of a session.
        call_timeout_s: How long to wait for an answer.
        retry_interval_s: TransactionMessageRetryInterval.
        first_delay_s: Upper bound of the wait before the first attempt to connect.
        outbox_size: Transaction messages that are kept while nobody answers.
        step_s: Seconds between two steps of an upload or a firmware update.
        clock: Tells the time that is reported.
    """

    url: str
    pace: Pace
    clock: Clock
    meter_interval_s: int = 5
    call_timeout_s: float = 30.0
    retry_interval_s: int = 5
    first_delay_s: float = 0.0
    outbox_size: int = 500
    step_s: float = 2.0
