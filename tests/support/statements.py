"""Notes the statements that a database is sent."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from servicekit.database import Database


@contextmanager
def noted(database: Database) -> Iterator[list[str]]:
    """Yield the statements that are executed during the block, in their order."""
    executed: list[str] = []

    def note(*arguments: object) -> None:
        executed.append(str(arguments[2]))

    engine = database._engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield executed
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
