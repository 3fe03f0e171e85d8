"""Brings a service's schema up to date: one schema and one Alembic history per service.

Several replicas may start at once: an advisory lock lets one migrate while the others wait.
"""

import hashlib
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

from servicekit.database import driver_url

_LOCK_TIMEOUT = "30s"


def upgrade(url: str, schema: str, folder: Path) -> None:
    """Create the schema if need be and run every migration that it has not seen.

    Args:
        url: postgresql:// URL of the database.
        schema: The schema that the service owns.
        folder: The service's Alembic folder.
    """
    engine = create_engine(driver_url(url))
    try:
        with engine.begin() as connection:
            _prepare(connection, schema)
            config = Config()
            config.set_main_option("script_location", str(folder))
            config.attributes.update(connection=connection, schema=schema)
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def run_environment() -> None:
    """Do what an Alembic `env.py` does, on the connection that `upgrade` holds."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        version_table_schema=attributes["schema"],
        target_metadata=None,
    )
    context.run_migrations()


def _prepare(connection: Connection, schema: str) -> None:
    key = int.from_bytes(hashlib.sha256(schema.encode()).digest()[:8], signed=True)
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    connection.execute(text(f'SET LOCAL search_path TO "{schema}"'))
    connection.execute(text(f"SET LOCAL lock_timeout TO '{_LOCK_TIMEOUT}'"))
