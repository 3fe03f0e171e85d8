"""Sessions, meter values, quarantine."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of session_service."""
    op.execute(_SESSIONS)
    op.execute(_METER_VALUES)
    op.execute(_QUARANTINE)


def downgrade() -> None:
    """Drop the tables of session_service."""
    op.execute("DROP TABLE sessions, meter_values, quarantine")
    op.execute("DROP SEQUENCE transaction_ids")


_SESSIONS = """
CREATE SEQUENCE transaction_ids AS integer;

CREATE TABLE sessions (
    session_id uuid PRIMARY KEY,
    transaction_id integer NOT NULL DEFAULT nextval('transaction_ids'),
    charge_point_id text NOT NULL,
    connector_id integer NOT NULL,
    id_tag text NOT NULL,
    id_tag_key text NOT NULL,              -- lower case: CiString ignores case
    authorization_status text NOT NULL,
    id_tag_expire_time timestamptz,
    parent_id_tag text,
    start_time timestamptz NOT NULL,
    start_time_reported boolean NOT NULL,  -- false: start_time is the time of receipt
    start_receive_time timestamptz NOT NULL,
    meter_start bigint NOT NULL,
    reservation_id integer,
    start_repairs text[] NOT NULL,
    start_raw_frame text,
    stop_time timestamptz,
    stop_time_reported boolean,
    stop_receive_time timestamptz,         -- null: the session runs
    meter_stop bigint,
    stop_reason text,
    stop_id_tag text,
    stop_authorization_status text,
    stop_id_tag_expire_time timestamptz,
    stop_parent_id_tag text,
    stop_repairs text[],
    stop_raw_frame text,
    flags text[] NOT NULL,
    create_time timestamptz NOT NULL
);
ALTER SEQUENCE transaction_ids OWNED BY sessions.transaction_id;

CREATE UNIQUE INDEX sessions_transaction ON sessions (transaction_id);
-- What a StartTransaction says tells its repeats. Texts of any length come in, and an index entry
-- has a limit: hence the hash of the tag.
CREATE UNIQUE INDEX sessions_start
    ON sessions (charge_point_id, connector_id, start_time, meter_start, md5(id_tag))
    WHERE start_time_reported;
CREATE UNIQUE INDEX sessions_start_without_time
    ON sessions (charge_point_id, connector_id, meter_start, md5(id_tag))
    WHERE NOT start_time_reported AND stop_receive_time IS NULL;
CREATE INDEX sessions_running ON sessions (charge_point_id, connector_id)
    WHERE stop_receive_time IS NULL;
CREATE INDEX sessions_running_tag ON sessions (md5(id_tag_key))
    WHERE stop_receive_time IS NULL AND authorization_status = 'Accepted';
CREATE INDEX sessions_newest ON sessions (create_time, session_id);
CREATE INDEX sessions_charge_point ON sessions (charge_point_id, create_time, session_id);
CREATE INDEX sessions_tag ON sessions (md5(id_tag_key), create_time, session_id);
CREATE INDEX sessions_running_newest ON sessions (create_time, session_id)
    WHERE stop_receive_time IS NULL;
CREATE INDEX sessions_start_time ON sessions (start_time);
"""

_METER_VALUES = """
CREATE TABLE meter_values (
    charge_point_id text NOT NULL,
    connector_id integer NOT NULL,
    sample_time timestamptz NOT NULL,
    digest uuid NOT NULL,               -- of the samples: tells repeats
    receive_time timestamptz NOT NULL,
    session_id uuid,                    -- null: belongs to no session
    reported_transaction_id bigint,
    measurands text[] NOT NULL,
    phases text[] NOT NULL,
    units text[] NOT NULL,
    contexts text[] NOT NULL,
    locations text[] NOT NULL,
    formats text[] NOT NULL,
    numbers numeric[] NOT NULL,         -- null elements: signed, or no number
    raw_values text[],                  -- as sent, where a number does not say it all
    repairs text[],
    raw_frame text
) PARTITION BY RANGE (sample_time);

CREATE TABLE meter_values_default PARTITION OF meter_values DEFAULT;

CREATE UNIQUE INDEX meter_values_content
    ON meter_values (charge_point_id, connector_id, sample_time, digest);
CREATE INDEX meter_values_session ON meter_values (session_id, sample_time, digest)
    WHERE session_id IS NOT NULL;
"""

_QUARANTINE = """
CREATE TABLE quarantine (
    entry_id uuid PRIMARY KEY,
    charge_point_id text NOT NULL,
    action text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    raw_text text NOT NULL,
    receive_time timestamptz NOT NULL,
    digest uuid NOT NULL
);
CREATE UNIQUE INDEX quarantine_content ON quarantine (charge_point_id, reason, digest);
CREATE INDEX quarantine_newest ON quarantine (receive_time, entry_id);
CREATE INDEX quarantine_charge_point ON quarantine (charge_point_id, receive_time, entry_id);
"""
