"""What session_service can be told."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from session_service.config import Config

NEEDED: dict[str, Any] = {
    "listen": "localhost:1",
    "auth_address": "localhost:2",
    "device_address": "localhost:3",
    "database_url": "postgresql://localhost/csms",
}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("boot_silence_s", math.inf),
        ("session_silence_s", 1e11),
        ("event_retention_days", 1_000_000),
        ("meter_value_retention_days", 1_000_000),
        ("quarantine_retention_days", 1_000_000),
    ],
)
def test_time_before_all_times_is_refused(setting: str, value: float) -> None:
    Config(**NEEDED)
    with pytest.raises(ValidationError, match=setting):
        Config(**{**NEEDED, setting: value})
