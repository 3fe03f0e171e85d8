"""COPY, and a statement about what was copied, in one exchange with PostgreSQL.

A round trip costs a process that runs an event loop more than the server; BEGIN, COPY, its rows, a
statement and COMMIT are five. The simple query protocol takes several statements at once, which are
one transaction unless they stand in another (PostgreSQL manual, 55.2.2.1).
"""

from typing import Final

import psycopg
from psycopg import generators, pq
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.waiting import WAIT_W
from sqlalchemy.ext.asyncio import AsyncConnection

_CHUNK_BYTES: Final = 64 * 1024
_REFUSED: Final = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)


async def copy_then(connection: AsyncConnection, copy: str, rows: str, statement: str) -> None:
    """Copy rows and run a statement behind it, in one transaction.

    Args:
        connection: Of `Database.statements`, or of a transaction that is to hold both.
        copy: `COPY ... FROM STDIN`.
        rows: As COPY reads them.
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


def _exchange(pgconn: pq.abc.PGconn, statements: str, rows: str) -> PQGen[None]:
    pgconn.send_query(statements.encode())
    results = yield from generators.execute(pgconn)
    if results[-1].status == pq.ExecStatus.COPY_IN:
        yield from _send_rows(pgconn, rows.encode())
        results = yield from generators.execute(pgconn)
    for result in results:
        if result.status in _REFUSED:
            raise error_from_result(result)


def _send_rows(pgconn: pq.abc.PGconn, rows: bytes) -> PQGen[None]:
    """Put rows into the connection's buffer, in pieces that it has room for."""
    for begin in range(0, len(rows), _CHUNK_BYTES):
        while not pgconn.put_copy_data(rows[begin : begin + _CHUNK_BYTES]):
            yield WAIT_W
    while not pgconn.put_copy_end():
        yield WAIT_W
