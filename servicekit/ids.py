"""Identifiers, injected so that tests can foresee them."""

import secrets
import time
import uuid
from collections.abc import Callable

IdSource = Callable[[], uuid.UUID]
"""Makes a new identifier with every call."""


def time_ordered_uuid() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562, 5.7): sorted by creation, so indexes stay dense."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = secrets.randbits(74)
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 0x7 << 76
    value |= (random_bits >> 62) << 64
    value |= 0b10 << 62
    value |= random_bits & (1 << 62) - 1
    return uuid.UUID(int=value)
