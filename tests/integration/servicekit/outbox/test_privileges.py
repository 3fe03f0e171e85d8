from sqlalchemy import text

from servicekit.database import Database
from servicekit.outbox.table import _STATE, append
from tests.integration.servicekit.outbox.watching import SCHEMA, an_event


async def test_least_privileged_role_can_read_the_state(database: Database) -> None:
    async with database.transaction() as connection:
        for statement in (
            "CREATE ROLE outbox_reader",
            f"GRANT ALL ON SCHEMA {SCHEMA} TO outbox_reader",
            f"GRANT ALL ON ALL TABLES IN SCHEMA {SCHEMA} TO outbox_reader",
            "SET LOCAL ROLE outbox_reader",
        ):
            await connection.execute(text(statement))
        await append(connection, [an_event("a")])
        assert await connection.scalar(text("SELECT place_events(10)")) == 1
        await connection.execute(_STATE)
        await connection.execute(text("RESET ROLE"))
        await connection.execute(text("DROP OWNED BY outbox_reader"))
        await connection.execute(text("DROP ROLE outbox_reader"))
