"""What is alike in meter values stored once; how each was attributed; how sessions ended."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the patterns of meter values to a table of their own.

    The table is made anew: dropped columns would stay behind as holes that partitions made later
    do not have, and every row would have to be converted on its way into them.
    """
    op.execute(_STOP_SOURCE)
    op.execute(_LAYOUTS)
    op.execute("CREATE TEMPORARY TABLE kept ON COMMIT DROP AS TABLE meter_values")
    op.execute("DROP TABLE meter_values")
    op.execute(_METER_VALUES)
    op.execute(_MONTHS)
    op.execute(_NAME_LAYOUTS)
    op.execute(_FILL_LAYOUTS)
    op.execute(_FILL_METER_VALUES)


def downgrade() -> None:
    """Write the patterns into each row again; how values were attributed is forgotten."""
    op.execute("CREATE TEMPORARY TABLE kept ON COMMIT DROP AS TABLE meter_values")
    op.execute("DROP TABLE meter_values")
    op.execute(_OLD_METER_VALUES)
    op.execute(_MONTHS)
    op.execute(_REFILL_METER_VALUES)
    op.execute("DROP TABLE layouts")
    op.execute("DROP INDEX sessions_ended")
    op.execute("ALTER TABLE sessions DROP COLUMN stop_source")


_STOP_SOURCE = """
ALTER TABLE sessions ADD COLUMN stop_source text; -- null: it runs, or was stopped by its station
UPDATE sessions SET stop_source = 'STATION' WHERE stop_receive_time IS NOT NULL;
-- Finds the session of a late value: not many have ended after its time.
CREATE INDEX sessions_ended ON sessions (charge_point_id, connector_id, stop_time, start_time)
    WHERE stop_receive_time IS NOT NULL;
"""

_LAYOUTS = """
CREATE TABLE layouts (
    layout_id uuid PRIMARY KEY,         -- a hash of the other columns
    measurands text[] NOT NULL,
    phases text[] NOT NULL,
    units text[] NOT NULL,
    contexts text[] NOT NULL,
    locations text[] NOT NULL,
    formats text[] NOT NULL,
    raw_units text[] NOT NULL           -- as sent, where values were converted
);
"""

_METER_VALUES = """
CREATE TABLE meter_values (
    sample_time timestamptz NOT NULL,
    receive_time timestamptz NOT NULL,
    digest uuid NOT NULL,               -- of the samples as sent: tells repeats
    layout_id uuid NOT NULL,            -- no foreign key: it would be checked for each row
    session_id uuid,                    -- null: belongs to no session
    reported_transaction_id bigint,
    connector_id integer NOT NULL,
    charge_point_id text NOT NULL,
    attribution text NOT NULL,          -- how the session was found
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

_OLD_METER_VALUES = """
CREATE TABLE meter_values (
    charge_point_id text NOT NULL,
    connector_id integer NOT NULL,
    sample_time timestamptz NOT NULL,
    digest uuid NOT NULL,
    receive_time timestamptz NOT NULL,
    session_id uuid,
    reported_transaction_id bigint,
    measurands text[] NOT NULL,
    phases text[] NOT NULL,
    units text[] NOT NULL,
    contexts text[] NOT NULL,
    locations text[] NOT NULL,
    formats text[] NOT NULL,
    numbers numeric[] NOT NULL,
    raw_values text[],
    repairs text[],
    raw_frame text
) PARTITION BY RANGE (sample_time);
CREATE TABLE meter_values_default PARTITION OF meter_values DEFAULT;
CREATE UNIQUE INDEX meter_values_content
    ON meter_values (charge_point_id, connector_id, sample_time, digest);
CREATE INDEX meter_values_session ON meter_values (session_id, sample_time, digest)
    WHERE session_id IS NOT NULL;
"""

# Months of the last half year have their partitions again; older values are in the default one.
_MONTHS = """
SELECT partition_month(month) FROM (
    SELECT DISTINCT date_trunc('month', sample_time AT TIME ZONE 'UTC')::date AS month FROM kept
    WHERE sample_time > now() - interval '6 months' AND sample_time < now() + interval '1 month'
) AS months;
"""

# The same hash as that of session_service.store.layouts.
_NAME_LAYOUTS = """
ALTER TABLE kept ADD COLUMN layout_id uuid, ADD COLUMN raw_units text[];
UPDATE kept SET raw_units = array_fill(NULL::text, ARRAY[cardinality(measurands)]);
UPDATE kept SET layout_id = encode(substr(sha256(convert_to(concat_ws(
    E'\\t', measurands::text, phases::text, units::text, contexts::text, locations::text,
    formats::text, raw_units::text
), 'UTF8')), 1, 16), 'hex')::uuid;
"""

_FILL_LAYOUTS = """
INSERT INTO layouts
SELECT DISTINCT layout_id, measurands, phases, units, contexts, locations, formats, raw_units
FROM kept;
"""

_FILL_METER_VALUES = """
INSERT INTO meter_values
SELECT k.sample_time, k.receive_time, k.digest, k.layout_id, k.session_id,
    k.reported_transaction_id, k.connector_id, k.charge_point_id,
    CASE
        WHEN k.session_id IS NULL THEN 'NONE'
        WHEN s.transaction_id = k.reported_transaction_id THEN 'TRANSACTION_ID'
        ELSE 'CONNECTOR_AND_TIME'
    END,
    k.numbers, k.raw_values, k.repairs, k.raw_frame
FROM kept AS k LEFT JOIN sessions AS s ON s.session_id = k.session_id;
"""

_REFILL_METER_VALUES = """
INSERT INTO meter_values
SELECT k.charge_point_id, k.connector_id, k.sample_time, k.digest, k.receive_time, k.session_id,
    k.reported_transaction_id, l.measurands, l.phases, l.units, l.contexts, l.locations, l.formats,
    k.numbers, k.raw_values, k.repairs, k.raw_frame
FROM kept AS k JOIN layouts AS l USING (layout_id);
"""
