"""Settings of session_service."""

from pydantic import Field

from servicekit.config import Address, Addresses, ServiceConfig

_MOST_DAYS = 36_500


class Config(ServiceConfig):
    """What session_service can be told."""

    auth_address: Address = Field(description="host:port of auth_service")
    boot_silence_s: float = Field(
        3600,
        gt=0,
        le=_MOST_DAYS * 86_400,
        description="seconds without a meter value after a boot of its charge point until a session"
        " is taken to have ended",
    )
    session_silence_s: float = Field(
        86_400,
        gt=0,
        le=_MOST_DAYS * 86_400,
        description="seconds without any sign of its charge point until a session is taken to have"
        " ended",
    )
    tend_interval_s: float = Field(
        60,
        gt=0,
        description="seconds between looks for sessions whose stop does not come, and for late "
        "meter values",
    )
    device_address: Addresses = Field(
        description="host:port of device_service, or those of its replicas with commas between them"
    )
    event_retention_days: int = Field(
        7,
        ge=1,
        le=_MOST_DAYS,
        description="days for which a watch of sessions can be continued from its cursor",
    )
    meter_value_retention_days: int = Field(
        0,
        ge=0,
        le=_MOST_DAYS,
        description="days that meter values are kept; a month is dropped as a whole when all of it"
        " is older; 0: all are kept",
    )
    quarantine_retention_days: int = Field(
        0,
        ge=0,
        le=_MOST_DAYS,
        description="days that a quarantine entry is kept once it is resolved; open ones stay; 0:"
        " all are kept",
    )
