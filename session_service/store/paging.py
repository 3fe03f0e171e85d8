"""Where a page begins, and how many rows all pages have."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from servicekit.errors import InvalidPageToken
from servicekit.pagination import MOST_COUNTED, PageRequest


def position(page: PageRequest) -> sa.Tuple:
    """Return the sort key behind which the page begins: a time and a UUID.

    Raises:
        InvalidPageToken: The token holds something else.
    """
    assert page.after is not None
    try:
        time, key = datetime.fromisoformat(page.after[0]), uuid.UUID(page.after[1])
    except ValueError:
        raise InvalidPageToken("The page token is not one that this list made.") from None
    return sa.tuple_(sa.literal(time, sa.TIMESTAMP(timezone=True)), sa.literal(key, sa.Uuid))


def count(table: sa.Table, conditions: Iterable[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    """Return a query that counts rows, to `MOST_COUNTED` at most: to count all would read all."""
    some = sa.select(sa.true()).select_from(table).where(*conditions).limit(MOST_COUNTED)
    return sa.select(sa.func.count()).select_from(some.subquery())
