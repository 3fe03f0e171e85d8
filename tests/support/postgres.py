"""A real PostgreSQL for the tests: one server a run, a template migrated once, a copy a worker."""

import itertools
import os
from pathlib import Path

import psycopg
from psycopg import sql

from servicekit.migrations import upgrade

ROOT = Path(__file__).parents[2]
TEMPLATE = "voltmesh_template"
SCHEMAS = {
    folder.parent.name.removesuffix("_service"): folder
    for folder in ROOT.glob("*_service/migrations")
}
_numbers = itertools.count(1)


def with_database(uri: str, database: str) -> str:
    """Return the server's URI with another database."""
    head, _, tail = uri.partition("?")
    base = head.rsplit("/", 1)[0]
    return f"{base}/{database}" + (f"?{tail}" if tail else "")


def create_template(uri: str) -> None:
    """Make the database that the tests' databases are copies of."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    for schema, folder in SCHEMAS.items():
        upgrade(with_database(uri, TEMPLATE), schema, folder)


def create_database(uri: str) -> str:
    """Make an empty, migrated database and return its URI."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
    return with_database(uri, name)


def drop_database(uri: str, database_uri: str) -> None:
    """Remove a database, whoever is connected to it."""
    name = database_uri.partition("?")[0].rsplit("/", 1)[1]
    statement = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(statement)
