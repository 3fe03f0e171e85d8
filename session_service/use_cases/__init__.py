"""What charge points report and operators read."""

from session_service.use_cases.endings import Endings
from session_service.use_cases.events import Watch
from session_service.use_cases.meter_values import MeterValues
from session_service.use_cases.quarantine import Quarantine
from session_service.use_cases.remote_control import RemoteControl
from session_service.use_cases.reviews import Reviews
from session_service.use_cases.sessions import Sessions
from session_service.use_cases.transactions import Transactions

__all__ = [
    "Endings",
    "MeterValues",
    "Quarantine",
    "RemoteControl",
    "Reviews",
    "Sessions",
    "Transactions",
    "Watch",
]
