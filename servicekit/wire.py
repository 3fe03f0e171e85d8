"""What protobuf writes around the bytes of a field (Protocol Buffers documentation, Encoding)."""

import functools
from typing import Final

_SIZED: Final = 2
"""The wire type of fields that say their size: texts, bytes, messages."""


@functools.lru_cache(8192)
def head(field_number: int, size: int) -> bytes:
    """Return what stands before the bytes of a field: which field it is, and how many bytes."""
    return _varint(field_number << 3 | _SIZED) + _varint(size)


def _varint(number: int) -> bytes:
    """Write a number with seven bits in a byte, the lowest first."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
