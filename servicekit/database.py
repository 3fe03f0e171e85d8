"""Access to a service's own schema in PostgreSQL."""

import select
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
from sqlalchemy import event, exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from servicekit.errors import DatabaseUnavailable

_RETRY_AFTER = timedelta(seconds=1)
_POOL_WAIT_S = 10.0
_CONNECT_TIMEOUT_S = 5
_DEAD_PEER = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""Finds out within half a minute that a network no longer delivers (libpq, section 32.1.2)."""


class Database:
    """A pool of connections whose search path is one schema.

    Args:
        url: postgresql:// URL of the database.
        schema: The schema that the service owns.
        pool_size: Connections kept; a request waits for one at most ten seconds.
        timeout_s: Seconds after which a statement is given up, and a transaction without one.
    """

    def __init__(self, url: str, schema: str, *, pool_size: int = 8, timeout_s: float = 20) -> None:
        self._engine: AsyncEngine = create_async_engine(
            driver_url(url),
            isolation_level="AUTOCOMMIT",
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_POOL_WAIT_S,
            connect_args={
                **_DEAD_PEER,
                "tcp_user_timeout": int(timeout_s * 1000),
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "application_name": f"voltmesh-{schema}",
                # A process that hangs within a transaction must not keep its locks for ever.
                "options": f"-c search_path={schema} -c statement_timeout={int(timeout_s * 1000)}"
                f" -c idle_in_transaction_session_timeout={int(timeout_s * 1000)} -c timezone=UTC",
            },
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)
        self._transactional = self._engine.execution_options(isolation_level="READ COMMITTED")

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction; it is committed when the block ends and rolled back when it raises.

        Raises:
            DatabaseUnavailable: The database cannot be reached, stops, or has no room.
        """
        return _reachable(self._transactional.begin())

    def statements(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a connection on which each statement is a transaction of its own.

        It is committed when it returns. So it costs one round trip, and one in a transaction three.

        Raises:
            DatabaseUnavailable: The database cannot be reached, stops, or has no room.
        """
        return _reachable(self._engine.connect())

    async def check(self) -> None:
        """Do the least that proves the database to be there.

        Raises:
            DatabaseUnavailable: It is not.
        """
        async with self.statements() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


@asynccontextmanager
async def _reachable(
    opening: AbstractAsyncContextManager[AsyncConnection],
) -> AsyncIterator[AsyncConnection]:
    """Open a connection for the block, in which an outage is told as one."""
    is_open = False
    try:
        async with opening as connection:
            is_open = True
            yield connection
    except (exc.SQLAlchemyError, psycopg.Error, OSError) as error:
        # The pool replaces a connection that the server has closed, once; then it gives up so.
        has_given_up = not is_open and isinstance(error, exc.InvalidRequestError)
        if not (has_given_up or is_outage(error)):
            raise
        raise DatabaseUnavailable(
            "The database cannot be reached now; try again.", retry_after=_RETRY_AFTER
        ) from error


def _refuse_closed(connection: Any, *_: object) -> None:
    """Let the pool replace a connection that the server has closed, without a round trip.

    Nobody waits for an answer on it, so all that can be there to read is the server's farewell.

    Raises:
        InvalidatePoolError: It is closed, and so are those that are as old.
    """
    driver = connection.driver_connection
    farewell = select.poll()
    if not driver.closed:
        farewell.register(driver.fileno(), select.POLLIN)
    if driver.closed or farewell.poll(0):
        raise exc.InvalidatePoolError("The server has closed the connection.")


def driver_url(url: str) -> str:
    """Return the URL with the driver that SQLAlchemy is to use."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def is_outage(error: Exception) -> bool:
    """Tell whether an error means that the database is away, and not that a statement is wrong.

    Operational errors are the server's troubles: no connection, shutdown, no disk space, too many
    connections, a statement that took too long (PostgreSQL, appendix A, classes 08, 53 and 57).
    """
    if isinstance(error, exc.DBAPIError):
        return error.connection_invalidated or isinstance(
            error, exc.OperationalError | exc.InterfaceError
        )
    return isinstance(error, exc.TimeoutError | psycopg.OperationalError | OSError)
