"""Pages of a list (AIP-158): newest first, continued by an opaque token.

A token holds the sort key of the last row and a digest of the filters, so that a page is found by
an index however far down the list it is, and a token is refused when the filters have changed.
"""

import base64
import binascii
import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import orjson

from servicekit.errors import InvalidPageToken

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
MOST_COUNTED = 10_000
"""Where counting ends in lists that grow without end (AIP-158 allows an estimate)."""
MOST_WEIGHT = 7 * 1024 * 1024
"""Bytes of JSON on a page of several rows: Envoy holds pages in memory, up to 8 MiB each."""

_LONGEST_ESCAPE = 6
_AROUND = 1024

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of rows, the token of the next page (empty: none) and the count of all rows.

    In a list that grows without end the count ends at `MOST_COUNTED`.
    """

    rows: Sequence[Row]
    next_page_token: str
    total_size: int


@dataclass(frozen=True)
class PageRequest:
    """Which page is asked for.

    Attributes:
        size: Rows on the page, 1 to 1000.
        after: The sort key behind which the page begins, as text values; None for the first page.
        filters: A digest of the filters, carried into the next token.
    """

    size: int
    after: tuple[str, ...] | None
    filters: str

    def page(
        self,
        rows: Sequence[Row],
        total_size: int,
        key: Callable[[Row], tuple[str, ...]],
        weigh: Callable[[Row], int] | None = None,
    ) -> Page[Row]:
        """Return the page made of rows that were read with a limit of `size + 1`.

        Args:
            rows: The rows, in the order of the list.
            total_size: How many there are on all pages.
            key: Returns the sort key of a row.
            weigh: Tells how many bytes of JSON a row makes at most, where it holds what charge
                points have sent: a page that would be too heavy ends sooner (AIP-158 allows it).
        """
        shown = rows[: self.size]
        if weigh is not None:
            shown = shown[: _fitting(map(weigh, shown))]
        token = _encode(self.filters, key(shown[-1])) if len(rows) > len(shown) else ""
        return Page(shown, token, total_size)


def weight(*texts: str | bytes) -> int:
    """Return how many bytes of JSON texts take at most, and what stands around them.

    A character that JSON escapes takes six bytes.
    """
    sizes = (len(text.encode() if isinstance(text, str) else text) for text in texts)
    return _AROUND + _LONGEST_ESCAPE * sum(sizes)


def _fitting(weights: Iterable[int]) -> int:
    """Return how many rows a page holds: one at the least."""
    totals = itertools.accumulate(weights)
    return max(1, sum(1 for _ in itertools.takewhile(lambda total: total <= MOST_WEIGHT, totals)))


def page_size(value: int) -> int:
    """Return the effective page size: 0 means 50, more than 1000 means 1000.

    Raises:
        ValueError: The value is negative.
    """
    if value < 0:
        raise ValueError("must be 0 (the default, 50) or a number from 1 to 1000")
    return min(value or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def page_request(size: int, token: str, *filters: object, key_length: int = 2) -> PageRequest:
    """Return the page that a request asks for.

    Args:
        size: An effective page size, from `page_size`.
        token: The token that the request brought; empty for the first page.
        filters: All that selects rows; a token is only good for the same values.
        key_length: How many values make the sort key.

    Raises:
        InvalidPageToken: The token is not one of ours or was made for other filters.
    """
    digest = hashlib.sha256(repr(filters).encode()).hexdigest()[:16]
    return PageRequest(size, _decode(digest, token, key_length) if token else None, digest)


def time_key(value: str) -> datetime:
    """Return the time that stands in the sort key of a page token.

    Raises:
        InvalidPageToken: It is none.
    """
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidPageToken("The page token is not one that this list made.")
    return time


def _encode(filters: str, key: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([filters, *key])).decode().rstrip("=")


def _decode(filters: str, token: str, key_length: int) -> tuple[str, ...]:
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        parts = orjson.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, binascii.Error):
        parts = None
    if not _is_key(parts, key_length):
        raise InvalidPageToken("The page token is not one that this list made.")
    if parts[0] != filters:
        raise InvalidPageToken(
            "The page token was made for other filters; repeat those of its page."
        )
    return tuple(parts[1:])


def _is_key(parts: object, key_length: int) -> bool:
    return (
        isinstance(parts, list)
        and len(parts) == key_length + 1
        and all(isinstance(part, str) and "\0" not in part for part in parts)
    )
