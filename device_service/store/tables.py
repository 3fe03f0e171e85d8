"""The tables of device_service, and the two shapes of statement that all its stores use."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData()

_TIME = sa.TIMESTAMP(timezone=True)


def _columns(kind: type[sa.types.TypeEngine[Any]] | Any, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind) for name in names]


charge_points = sa.Table(
    "charge_points",
    metadata,
    sa.Column("charge_point_id", sa.Text, primary_key=True),
    *_columns(sa.Text, "state", "display_name"),
    sa.Column("heartbeat_interval", sa.Interval),
    sa.Column("subprotocol_optional", sa.Boolean),
    *_columns(sa.Text, "vendor", "model", "serial_number", "charge_box_serial_number"),
    *_columns(sa.Text, "firmware_version", "iccid", "imsi", "meter_type", "meter_serial_number"),
    sa.Column("last_boot_time", _TIME),
    *_columns(sa.Text, "firmware_status", "diagnostics_status"),
    *_columns(_TIME, "create_time", "update_time"),
    sa.Column("etag", sa.Text),
)

connections = sa.Table(
    "connections",
    metadata,
    sa.Column("charge_point_id", sa.Text, primary_key=True),
    sa.Column("generation", sa.BigInteger),  # grows with every connection of the charge point
    *_columns(sa.Text, "connection_id", "gateway_id", "gateway_instance_id"),
    *_columns(sa.Text, "remote_address", "subprotocol"),
    *_columns(_TIME, "open_time", "last_seen_time", "close_time"),
    sa.Column("close_code", sa.Integer),
    sa.Column("close_reason", sa.Text),
)

gateway_instances = sa.Table(
    "gateway_instances",
    metadata,
    sa.Column("gateway_instance_id", sa.Text, primary_key=True),
    sa.Column("gateway_id", sa.Text),
    sa.Column("beat_time", _TIME),
)

gateway_links = sa.Table(
    "gateway_links",
    metadata,
    sa.Column("gateway_id", sa.Text, primary_key=True),
    sa.Column("epoch", sa.BigInteger),  # grows with every link of the gateway
    *_columns(sa.Text, "gateway_instance_id", "replica_id", "version"),
    sa.Column("link_time", _TIME),
)

connectors = sa.Table(
    "connectors",
    metadata,
    sa.Column("charge_point_id", sa.Text, primary_key=True),
    sa.Column("connector_id", sa.Integer, primary_key=True),
    *_columns(sa.Text, "status", "error_code", "info", "vendor_id", "vendor_error_code"),
    *_columns(_TIME, "status_time", "receive_time", "orderly_time"),
)

status_history = sa.Table(
    "status_history",
    metadata,
    sa.Column("charge_point_id", sa.Text),
    sa.Column("connector_id", sa.Integer),
    *_columns(sa.Text, "status", "error_code", "info", "vendor_id", "vendor_error_code"),
    *_columns(_TIME, "status_time", "receive_time", "fact_time"),
    sa.Column("content_digest", sa.LargeBinary),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("notice_id", sa.Uuid, primary_key=True),
    *_columns(sa.Text, "charge_point_id", "connection_id", "message_id", "action", "payload"),
    sa.Column("receive_time", _TIME),
    sa.Column("raw_frame", sa.Text),
    sa.Column("repairs", pg.ARRAY(sa.Text)),
    sa.Column("content_digest", sa.LargeBinary),
)

refused_handshakes = sa.Table(
    "refused_handshakes",
    metadata,
    sa.Column("charge_point_id", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("remote_address", sa.Text),
    *_columns(_TIME, "first_refuse_time", "last_refuse_time"),
    sa.Column("refuse_count", sa.BigInteger),
)

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("command_id", sa.Uuid, primary_key=True),
    sa.Column("number", sa.BigInteger, sa.Identity(always=True)),  # the order of delivery
    *_columns(sa.Text, "charge_point_id", "action", "requester", "request_id", "traceparent"),
    *_columns(sa.LargeBinary, "request", "request_digest", "response", "error"),
    *_columns(_TIME, "create_time", "expire_time", "send_time", "complete_time"),
    sa.Column("answer_timeout", sa.Interval),
    sa.Column("deliver_when_online", sa.Boolean),
    *_columns(sa.Text, "state", "handed_to", "handed_connection"),
    *_columns(sa.Text, "call_error_code", "call_error_description", "call_error_details"),
    *_columns(sa.Text, "session", "session_outcome"),
    sa.Column("session_deadline", _TIME),
)


def given(table: sa.Table, *names: str) -> sa.TableValuedAlias:
    """Return the rows that a statement is executed with (`rows_of`), to select these columns from.

    All rows are one parameter. So the statement is made once and its plan prepared once, whatever
    their number, and PostgreSQL takes them apart, which costs far less than one value at a time.
    """
    shape = [sa.column(name, table.c[name].type) for name in names]
    rows = sa.cast(sa.bindparam("rows", type_=sa.Text), pg.JSON)
    source = sa.func.json_to_recordset(rows).table_valued(*shape, name="given")
    return source.render_derived(with_types=True)


def rows_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the parameter that stands for the rows that are given to a statement."""
    return {"rows": orjson.dumps(rows).decode()}


def insert_given(table: sa.Table, names: Sequence[str], *order: str) -> pg.Insert:
    """Return the insertion of rows, in the order of a key so that writers do not deadlock."""
    source = given(table, *names)
    select = sa.select(source).order_by(*(source.c[name] for name in order))
    return pg.insert(table).from_select(list(names), select)


def update_given(table: sa.Table, key: str, *names: str) -> sa.Update:
    """Return the update of columns of the rows with these keys."""
    source = given(table, key, *names)
    return (
        sa.update(table)
        .where(table.c[key] == source.c[key])
        .values({name: source.c[name] for name in names})
    )
