"""What was stored before a migration is there afterwards."""

from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from psycopg.rows import dict_row
from sqlalchemy import create_engine, text

from servicekit.database import driver_url
from session_service.store.layouts import layout_id, to_layout
from tests.support.postgres import SCHEMAS

_OLD = """
INSERT INTO sessions (
    session_id, charge_point_id, connector_id, id_tag, id_tag_key, authorization_status, start_time,
    start_time_reported, start_receive_time, meter_start, start_repairs, flags, create_time,
    stop_time, stop_receive_time
) VALUES (
    '00000000-0000-0000-0000-000000000001', 'CP-1', 1, 'A', 'a', 'Accepted', now(),
    true, now(), 0, '{}', '{}', now(), now(), now()
);
SELECT partition_month(date_trunc('month', now())::date);
INSERT INTO meter_values
SELECT 'CP-1', 1, time, gen_random_uuid(), now(), session_id, transaction_id,
    '{Energy.Active.Import.Register,Voltage}', '{NULL,L1-N}', unit::text[],
    '{Sample.Periodic,Trigger}', '{Outlet,Inlet}', '{Raw,Raw}', '{3.5,NULL}', '{NULL,n/a}',
    '{enum_synonym}', '[2]'
FROM (
    SELECT now(), session_id, transaction_id, '{Wh,V}' FROM sessions
    UNION ALL SELECT now(), session_id, 4242, '{Wh,V}' FROM sessions
    UNION ALL SELECT '1970-01-01', NULL, NULL, '{kWh,NULL}'
) AS told (time, session_id, transaction_id, unit);
"""


def migrate(database_url: str, revision: str, then: str = "SELECT 1") -> None:
    """Bring session_service's schema to a revision, from wherever it is."""
    engine = create_engine(driver_url(database_url))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL search_path TO session"))
        config = Config()
        config.set_main_option("script_location", str(SCHEMAS["session"]))
        config.attributes.update(connection=connection, schema="session")
        at = "SELECT version_num FROM session.alembic_version"
        before = connection.scalar(text(at))
        step = command.upgrade if str(before) < revision else command.downgrade
        step(config, revision)
        connection.exec_driver_sql(then)
    engine.dispose()


def rows(database_url: str, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(
        database_url, row_factory=dict_row, options="-c search_path=session -c timezone=UTC"
    ) as connection:
        return list(connection.execute(query.encode()))


def test_meter_values_of_before_the_layouts_are_kept(database_url: str) -> None:
    migrate(database_url, "0002", _OLD)
    before = rows(database_url, "SELECT * FROM meter_values ORDER BY digest")
    migrate(database_url, "0003")
    joined = "SELECT *, m.tableoid::regclass::text AS part FROM meter_values AS m JOIN layouts"
    after = rows(database_url, f"{joined} USING (layout_id) ORDER BY digest")
    assert [{key: row[key] for key in before[0]} for row in after] == before
    assert sorted((row["attribution"], row["part"] == "meter_values_default") for row in after) == [
        ("CONNECTOR_AND_TIME", False),
        ("NONE", True),
        ("TRANSACTION_ID", False),
    ]
    (session,) = rows(database_url, "SELECT stop_source FROM sessions")
    assert session == {"stop_source": "STATION"}
    named = {row["layout_id"] for row in after if row["units"] == ["Wh", "V"]}
    assert named == {layout_id(to_layout(row)) for row in after if row["units"] == ["Wh", "V"]}
    migrate(database_url, "0002")
    assert rows(database_url, "SELECT * FROM meter_values ORDER BY digest") == before
