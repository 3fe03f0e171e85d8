"""Ends that no stop made, stops that wait for their start, resolved entries."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that running code does not read, and a table."""
    op.execute(_SESSIONS)
    op.execute(_QUARANTINE)
    op.execute(_ORPHAN_STOPS)


def downgrade() -> None:
    """Forget them."""
    op.execute("DROP TABLE orphan_stops")
    op.execute("DROP INDEX quarantine_open, sessions_inferred")
    op.execute(
        "ALTER TABLE quarantine DROP COLUMN resolve_time, DROP COLUMN resolution,"
        " DROP COLUMN resolved_by, DROP COLUMN session_id"
    )
    op.execute("ALTER TABLE sessions DROP COLUMN stop_comment, DROP COLUMN closed_by")


_SESSIONS = """
ALTER TABLE sessions
    ADD COLUMN stop_comment text,
    ADD COLUMN closed_by text;
CREATE INDEX sessions_inferred ON sessions (stop_receive_time) WHERE stop_source = 'INFERRED';
"""

_QUARANTINE = """
ALTER TABLE quarantine
    ADD COLUMN resolve_time timestamptz,       -- null: open
    ADD COLUMN resolution text,
    ADD COLUMN resolved_by text,
    ADD COLUMN session_id uuid;                -- where it belonged
CREATE INDEX quarantine_open ON quarantine (receive_time, entry_id) WHERE resolve_time IS NULL;
"""

# A row stands for an open entry of a stop whose transaction was not known; it goes when its start
# has come or an operator has resolved the entry.
_ORPHAN_STOPS = """
CREATE TABLE orphan_stops (
    entry_id uuid PRIMARY KEY REFERENCES quarantine ON DELETE CASCADE,
    charge_point_id text NOT NULL,
    stop_time timestamptz NOT NULL,
    meter_stop bigint NOT NULL,
    message bytea NOT NULL                     -- the call, to be read again
);
CREATE INDEX orphan_stops_charge_point ON orphan_stops (charge_point_id, stop_time);
"""
