"""What operators, gateways and charge points do with device_service."""

from device_service.use_cases.charge_points import (
    Admission,
    ChargePoints,
    Handshake,
    Inbox,
    InboxRules,
    Reports,
)
from device_service.use_cases.commands import CommandRules, Commands
from device_service.use_cases.desk import Desk
from device_service.use_cases.frames import Frames
from device_service.use_cases.upkeep import expire_overdue, settle_sessions
from device_service.use_cases.waiters import Waiters

__all__ = [
    "Admission",
    "ChargePoints",
    "CommandRules",
    "Commands",
    "Desk",
    "Frames",
    "Handshake",
    "Inbox",
    "InboxRules",
    "Reports",
    "Waiters",
    "expire_overdue",
    "settle_sessions",
]
