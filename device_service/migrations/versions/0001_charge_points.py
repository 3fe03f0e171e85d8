"""Charge points, connections, connectors, notices, refused handshakes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "charge_points",
    "connections",
    "gateway_instances",
    "connectors",
    "status_history",
    "notices",
    "refused_handshakes",
)


def upgrade() -> None:
    """Create the tables of device_service."""
    _create_charge_points()
    _create_connections()
    _create_statuses()
    _create_notices()
    _create_refused_handshakes()


def downgrade() -> None:
    """Drop the tables of device_service."""
    for table in _TABLES:
        op.drop_table(table)


def _identity(**options: bool) -> sa.Column[str]:
    return sa.Column("charge_point_id", sa.Text(collation="C"), nullable=False, **options)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable)


def _create_charge_points() -> None:
    op.create_table(
        "charge_points",
        _identity(primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        _text("display_name"),
        sa.Column("heartbeat_interval", sa.Interval),
        sa.Column("subprotocol_optional", sa.Boolean, nullable=False, server_default=sa.false()),
        _text("vendor"),
        _text("model"),
        _text("serial_number"),
        _text("charge_box_serial_number"),
        _text("firmware_version"),
        _text("iccid"),
        _text("imsi"),
        _text("meter_type"),
        _text("meter_serial_number"),
        _time("last_boot_time", nullable=True),
        _text("firmware_status"),
        _text("diagnostics_status"),
        _time("create_time"),
        _time("update_time"),
        sa.Column("etag", sa.Text, nullable=False),
    )
    op.create_index("charge_points_newest", "charge_points", ["create_time", "charge_point_id"])


def _create_connections() -> None:
    op.create_table(
        "connections",
        _identity(primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("connection_id", sa.Text, nullable=False),
        sa.Column("gateway_id", sa.Text, nullable=False),
        sa.Column("gateway_instance_id", sa.Text, nullable=False),
        sa.Column("remote_address", sa.Text, nullable=False),
        sa.Column("subprotocol", sa.Text, nullable=False),
        _time("open_time"),
        _time("last_seen_time"),
        _time("close_time", nullable=True),
        sa.Column("close_code", sa.Integer),
        sa.Column("close_reason", sa.Text),
        # A beat touches every row that was heard: leave room for updates within the page.
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "gateway_instances",
        sa.Column("gateway_instance_id", sa.Text, primary_key=True),
        sa.Column("gateway_id", sa.Text, nullable=False),
        _time("beat_time"),
    )


def _status_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error_code", sa.Text, nullable=False),
        sa.Column("info", sa.Text, nullable=False),
        sa.Column("vendor_id", sa.Text, nullable=False),
        sa.Column("vendor_error_code", sa.Text, nullable=False),
        _time("status_time", nullable=True),
        _time("receive_time"),
    ]


def _create_statuses() -> None:
    op.create_table(
        "connectors",
        _identity(primary_key=True),
        sa.Column("connector_id", sa.Integer, primary_key=True),
        *_status_columns(),
        _time("orderly_time", nullable=True),
    )
    op.create_table(
        "status_history",
        _identity(),
        sa.Column("connector_id", sa.Integer, nullable=False),
        *_status_columns(),
        # The reported time, or the time of receipt where none was reported.
        _time("fact_time"),
        sa.Column("content_digest", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "status_history_content",
        "status_history",
        ["charge_point_id", "connector_id", "fact_time", "content_digest"],
        unique=True,
    )


def _create_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.Uuid, primary_key=True),
        _identity(),
        sa.Column("connection_id", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        _time("receive_time"),
        sa.Column("raw_frame", sa.Text, nullable=False),
        sa.Column("repairs", pg.ARRAY(sa.Text), nullable=False),
        sa.Column("content_digest", sa.LargeBinary, nullable=False),
    )
    # A call that is sent again after a broken stream brings the same time of receipt.
    op.create_index(
        "notices_content",
        "notices",
        ["charge_point_id", "receive_time", "content_digest"],
        unique=True,
    )
    op.create_index("notices_newest", "notices", ["receive_time", "notice_id"])


def _create_refused_handshakes() -> None:
    op.create_table(
        "refused_handshakes",
        _identity(primary_key=True),
        sa.Column("reason", sa.Text(collation="C"), primary_key=True),
        sa.Column("remote_address", sa.Text, nullable=False),
        _time("first_refuse_time"),
        _time("last_refuse_time"),
        sa.Column("refuse_count", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "refused_handshakes_newest",
        "refused_handshakes",
        ["last_refuse_time", "charge_point_id", "reason"],
    )
