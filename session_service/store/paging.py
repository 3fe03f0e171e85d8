"""Where a page begins."""

import uuid
from datetime import datetime

import sqlalchemy as sa

from servicekit.errors import InvalidPageToken
from servicekit.pagination import PageRequest


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
