"""Starts one PostgreSQL for the whole run and tells the workers where it is."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from deploy.postgres import EmbeddedPostgres
from tests.support.postgres import create_database, create_template, drop_database

pytest_plugins = ["tests.support.fixtures"]

_RUNNER = pytest.StashKey[asyncio.Runner]()
_SERVER = pytest.StashKey[EmbeddedPostgres]()
_URI = pytest.StashKey[str]()
_FOLDER = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL in the process that controls the run; workers are told its URI."""
    _log_plainly()
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        config.stash[_URI] = worker_input["postgres_uri"]
    elif not config.option.collectonly:
        _start_postgres(config)


def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where PostgreSQL is."""
    node.workerinput["postgres_uri"] = node.config.stash[_URI]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop PostgreSQL in the process that started it."""
    server = config.stash.get(_SERVER, None)
    if server is not None:
        config.stash[_RUNNER].run(server.stop())
        config.stash[_RUNNER].close()
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


def _start_postgres(config: pytest.Config) -> None:
    folder = Path(tempfile.mkdtemp(prefix="voltmesh-tests-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "postgres", folder / "postgres.log")
    runner = asyncio.Runner()  # the loop has to live as long as the server
    config.stash[_RUNNER], config.stash[_SERVER] = runner, server
    config.stash[_FOLDER] = folder
    # PostgreSQL runs as a user of its own under root, whom pytest's common folder keeps out.
    config.option.basetemp = config.option.basetemp or folder / "tests"
    runner.run(server.start())
    config.stash[_URI] = server.uri_of("postgres")
    create_template(config.stash[_URI])


@pytest.fixture(scope="session")
def postgres_uri(request: pytest.FixtureRequest) -> str:
    """The URI of the run's PostgreSQL server."""
    return request.config.stash[_URI]


@pytest.fixture
def database_url(postgres_uri: str) -> Iterator[str]:
    """The URI of an empty, migrated database for one test."""
    uri = create_database(postgres_uri)
    yield uri
    drop_database(postgres_uri, uri)


def _log_plainly() -> None:
    """Log as services do; structlog's own default draws each traceback, which takes seconds."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
