from pathlib import Path

import psycopg
import pytest

from deploy.postgres import EmbeddedPostgres
from deploy.process import ProcessError


async def answer(uri: str) -> int:
    async with await psycopg.AsyncConnection.connect(uri) as connection:
        row = await (await connection.execute("SELECT 42")).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_lock_of_a_server_that_died_is_no_obstacle(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", tmp_path / "log")
    await server.start()
    await server.stop()
    # Its process id belongs to another program by now: the one that runs this test.
    stale = f"1\n{tmp_path / 'postgres'}\n1700000000\n5432\n{tmp_path / 'postgres'}\n\n\nready\n"
    (tmp_path / "postgres" / "postmaster.pid").write_text(stale)
    await server.start()
    assert await answer(server.uri) == 42
    await server.stop()


async def test_a_path_too_long_for_a_socket_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    server = EmbeddedPostgres(folder / "postgres", tmp_path / "log")
    await server.start()
    assert await answer(server.uri) == 42
    await server.stop()


async def test_a_second_server_on_the_same_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.postgres.FORMER_SERVER_TIMEOUT_S", 0.2)
    first = EmbeddedPostgres(tmp_path / "postgres", tmp_path / "log")
    await first.start()
    second = EmbeddedPostgres(tmp_path / "postgres", tmp_path / "log-2")
    with pytest.raises(ProcessError, match="CSMS_DATA"):
        await second.start()
    assert await answer(first.uri) == 42
    await first.stop()


async def test_settings_reach_the_server(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", tmp_path / "log", {"max_connections": "33"})
    await server.start()
    async with await psycopg.AsyncConnection.connect(server.uri) as connection:
        row = await (await connection.execute("SHOW max_connections")).fetchone()
    await server.stop()
    assert row == ("33",)
