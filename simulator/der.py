"""DER, as far as X.509 needs it (ITU-T X.690)."""

from collections.abc import Sequence
from dataclasses import dataclass

INTEGER, BIT_STRING, OBJECT_ID, UTF8_STRING = 0x02, 0x03, 0x06, 0x0C
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
SEQUENCE, SET, CONTEXT_0 = 0x30, 0x31, 0xA0


@dataclass(frozen=True)
class Element:
    """An element: its tag, its content, and all of its bytes."""

    tag: int
    content: bytes
    whole: bytes


def elements(data: bytes) -> Sequence[Element]:
    """Return the elements that follow each other.

    Raises:
        ValueError: The bytes are no DER.
    """
    found, rest = [], data
    while rest:
        element = _first(rest)
        found.append(element)
        rest = rest[len(element.whole) :]
    return found


def only(data: bytes, tag: int) -> Element:
    """Return the one element that bytes consist of.

    Raises:
        ValueError: They are no DER, or another number or kind of elements.
    """
    [element] = elements(data)
    if element.tag != tag:
        raise ValueError(f"There is a tag {element.tag:#x} where {tag:#x} belongs.")
    return element


def encode(tag: int, *parts: bytes) -> bytes:
    """Return an element made of parts."""
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(size))) + size + content


def integer(number: int) -> bytes:
    """Return a number that is not negative as an INTEGER."""
    return encode(INTEGER, number.to_bytes(number.bit_length() // 8 + 1))


def _first(data: bytes) -> Element:
    if len(data) < 2:
        raise ValueError("An element is cut off.")
    begin, size = 2, data[1]
    if size & 0x80:
        begin += size & 0x7F
        size = int.from_bytes(data[2:begin])
    end = begin + size
    if len(data) < end or data[1] == 0x80:
        raise ValueError("An element is cut off.")
    return Element(data[0], data[begin:end], data[:end])
