"""COPY, and a statement about what was copied, in one exchange with PostgreSQL.

A round trip costs a process that runs an event loop more than the server; BEGIN, COPY, its rows, a
statement and COMMIT are five. The simple query protocol takes several statements at once, which are
one transaction unless they stand in another (PostgreSQL manual, 55.2.2.1).

The rows are written while the server gets ready for them: when they are many it is ready before
they are, and nothing has to be waited for but the outcome.
"""

from collections.abc import Iterable
from typing import Final

import psycopg
from psycopg import generators, pq
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.waiting import WAIT_W
from sqlalchemy.ext.asyncio import AsyncConnection

_CHUNK_BYTES: Final = 64 * 1024
_REFUSED: Final = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)


async def copy_then(
    connection: AsyncConnection, copy: str, rows: Iterable[str], statement: str
) -> None:
    """Copy rows and run a statement behind it, in one transaction.

    Args:
        connection: Of `Database.statements`, or of a transaction that is to hold both.
        copy: `COPY ... FROM STDIN`.
        rows: As COPY reads them; what they raise is raised, and neither has happened.
        statement: Has no parameters.

    Raises:
        psycopg.Error: The server has refused one of them; neither has happened.
    """
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    async with driver.lock:
        # The driver begins a transaction with its first statement, and this passes the driver by.
        is_idle = driver.info.transaction_status == pq.TransactionStatus.IDLE
        begin = "BEGIN; " if is_idle and not driver.autocommit else ""
        await driver.wait(_exchange(driver.pgconn, f"{begin}{copy}; {statement}", rows))


def _exchange(pgconn: pq.abc.PGconn, statements: str, rows: Iterable[str]) -> PQGen[None]:
    pgconn.send_query(statements.encode())
    try:
        data = "".join(rows).encode()
    except Exception:
        yield from _outcome(pgconn, b"", failure=b"The rows cannot be written.")
        raise
    for result in (yield from _outcome(pgconn, data)):
        if result.status in _REFUSED:
            raise error_from_result(result)


def _outcome(
    pgconn: pq.abc.PGconn, rows: bytes, *, failure: bytes | None = None
) -> PQGen[list[pq.abc.PGresult]]:
    pgconn.consume_input()  # a server that is ready is not waited for
    results: list[pq.abc.PGresult] = yield from generators.execute(pgconn)
    if results[-1].status == pq.ExecStatus.COPY_IN:
        yield from _send_rows(pgconn, rows, failure)
        results = yield from generators.execute(pgconn)
    return results


def _send_rows(pgconn: pq.abc.PGconn, rows: bytes, failure: bytes | None) -> PQGen[None]:
    """Put rows into the connection's buffer, in pieces that it has room for, and end COPY."""
    for begin in range(0, len(rows), _CHUNK_BYTES):
        while not pgconn.put_copy_data(rows[begin : begin + _CHUNK_BYTES]):
            yield WAIT_W
    while not pgconn.put_copy_end(failure):
        yield WAIT_W
