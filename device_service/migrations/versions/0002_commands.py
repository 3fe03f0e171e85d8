"""Commands to charge points."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of commands."""
    op.create_table("commands", *_request(), *_progress(), *_result())
    _create_indexes()


def downgrade() -> None:
    """Drop the table of commands."""
    op.drop_table("commands")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable)


def _request() -> list[sa.Column[object]]:
    return [
        sa.Column("command_id", sa.Uuid, primary_key=True),
        # The order of creation, in which commands are delivered.
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("charge_point_id", sa.Text(collation="C"), nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("requester", sa.Text, nullable=False),
        _time("create_time"),
        _time("expire_time"),
        sa.Column("answer_timeout", sa.Interval, nullable=False),
        sa.Column("deliver_when_online", sa.Boolean, nullable=False),
        _text("request_id"),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        _text("traceparent"),
    ]


def _progress() -> list[sa.Column[object]]:
    return [
        sa.Column("state", sa.Text, nullable=False),
        _text("handed_to"),
        _text("handed_connection"),
        _time("send_time", nullable=True),
        _time("complete_time", nullable=True),
    ]


def _result() -> list[sa.Column[object]]:
    return [
        sa.Column("response", sa.LargeBinary, nullable=False, server_default=""),
        sa.Column("call_error_code", sa.Text),
        sa.Column("call_error_description", sa.Text),
        sa.Column("call_error_details", sa.Text),
        sa.Column("error", sa.LargeBinary, nullable=False, server_default=""),
        _text("session"),
        sa.Column("session_outcome", sa.Text),
        _time("session_deadline", nullable=True),
    ]


def _create_indexes() -> None:
    has_not_ended = sa.text("complete_time IS NULL")
    op.create_index("commands_newest", "commands", ["create_time", "command_id"])
    op.create_index(
        "commands_newest_of_charge_point",
        "commands",
        ["charge_point_id", "create_time", "command_id"],
    )
    op.create_index(
        "commands_waiting",
        "commands",
        ["charge_point_id", "number"],
        postgresql_where=has_not_ended,
    )
    # One command under way per charge point, whichever replica hands it out.
    op.create_index(
        "commands_under_way",
        "commands",
        ["charge_point_id"],
        unique=True,
        postgresql_where=sa.text("complete_time IS NULL AND handed_to <> ''"),
    )
    op.create_index(
        "commands_under_way_at_gateway",
        "commands",
        ["handed_to"],
        postgresql_where=sa.text("complete_time IS NULL AND handed_to <> ''"),
    )
    op.create_index("commands_overdue", "commands", ["expire_time"], postgresql_where=has_not_ended)
    op.create_index(
        "commands_awaiting_session",
        "commands",
        ["session_deadline"],
        postgresql_where=sa.text("session_outcome = 'AWAITED'"),
    )
    op.create_index(
        "commands_request",
        "commands",
        ["charge_point_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("request_id <> ''"),
    )
