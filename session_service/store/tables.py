"""The tables of session_service; the migrations have their indexes and what they are for."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData()

_TIME = sa.TIMESTAMP(timezone=True)
_TEXTS = pg.ARRAY(sa.Text)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("session_id", sa.Uuid, primary_key=True),
    sa.Column("transaction_id", sa.BigInteger, nullable=False),  # compared with any number
    sa.Column("charge_point_id", sa.Text, nullable=False),
    sa.Column("connector_id", sa.Integer, nullable=False),
    sa.Column("id_tag", sa.Text, nullable=False),
    sa.Column("id_tag_key", sa.Text, nullable=False),
    sa.Column("authorization_status", sa.Text, nullable=False),
    sa.Column("id_tag_expire_time", _TIME),
    sa.Column("parent_id_tag", sa.Text),
    sa.Column("start_time", _TIME, nullable=False),
    sa.Column("start_time_reported", sa.Boolean, nullable=False),
    sa.Column("start_receive_time", _TIME, nullable=False),
    sa.Column("meter_start", sa.BigInteger, nullable=False),
    sa.Column("meter_start_read", sa.BigInteger),
    sa.Column("reservation_id", sa.Integer),
    sa.Column("start_repairs", _TEXTS, nullable=False),
    sa.Column("start_raw_frame", sa.Text),
    sa.Column("stop_time", _TIME),
    sa.Column("stop_time_reported", sa.Boolean),
    sa.Column("stop_receive_time", _TIME),
    sa.Column("meter_stop", sa.BigInteger),
    sa.Column("stop_reason", sa.Text),
    sa.Column("stop_id_tag", sa.Text),
    sa.Column("stop_authorization_status", sa.Text),
    sa.Column("stop_id_tag_expire_time", _TIME),
    sa.Column("stop_parent_id_tag", sa.Text),
    sa.Column("stop_repairs", _TEXTS),
    sa.Column("stop_raw_frame", sa.Text),
    sa.Column("stop_source", sa.Text),
    sa.Column("stop_comment", sa.Text),
    sa.Column("closed_by", sa.Text),
    sa.Column("review_time", _TIME),
    sa.Column("flags", _TEXTS, nullable=False),
    sa.Column("create_time", _TIME, nullable=False),
)

layouts = sa.Table(
    "layouts",
    metadata,
    sa.Column("layout_id", sa.Uuid, primary_key=True),
    sa.Column("measurands", _TEXTS, nullable=False),
    sa.Column("phases", _TEXTS, nullable=False),
    sa.Column("units", _TEXTS, nullable=False),
    sa.Column("contexts", _TEXTS, nullable=False),
    sa.Column("locations", _TEXTS, nullable=False),
    sa.Column("formats", _TEXTS, nullable=False),
    sa.Column("raw_units", _TEXTS, nullable=False),
)

meter_values = sa.Table(
    "meter_values",
    metadata,
    sa.Column("sample_time", _TIME, nullable=False),
    sa.Column("receive_time", _TIME, nullable=False),
    sa.Column("digest", sa.Uuid, nullable=False),
    sa.Column("layout_id", sa.Uuid, nullable=False),
    sa.Column("session_id", sa.Uuid),
    sa.Column("reported_transaction_id", sa.BigInteger),
    sa.Column("connector_id", sa.Integer, nullable=False),
    sa.Column("charge_point_id", sa.Text, nullable=False),
    sa.Column("attribution", sa.Text, nullable=False),
    sa.Column("numbers", pg.ARRAY(sa.Numeric), nullable=False),
    sa.Column("raw_values", _TEXTS),
    sa.Column("repairs", _TEXTS),
    sa.Column("raw_frame", sa.Text),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("entry_id", sa.Uuid, primary_key=True),
    sa.Column("charge_point_id", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("raw_text", sa.Text, nullable=False),
    sa.Column("receive_time", _TIME, nullable=False),
    sa.Column("digest", sa.Uuid, nullable=False),
    sa.Column("resolve_time", _TIME),
    sa.Column("resolution", sa.Text),
    sa.Column("resolved_by", sa.Text),
    sa.Column("session_id", sa.Uuid),
)

orphan_stops = sa.Table(
    "orphan_stops",
    metadata,
    sa.Column("entry_id", sa.Uuid, primary_key=True),
    sa.Column("charge_point_id", sa.Text, nullable=False),
    sa.Column("stop_time", _TIME, nullable=False),
    sa.Column("meter_stop", sa.BigInteger),
    sa.Column("message", sa.LargeBinary, nullable=False),
)
