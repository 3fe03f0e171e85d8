"""Months that are made beside running writers, values deleted by receipt, sessions by start."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let `partition_month` wait for writers; index what is read and deleted in order."""
    op.execute(_PARTITION_MONTH)
    op.execute(_DEFAULT_BY_RECEIPT)
    op.execute(_FIRST_MONTHS)
    op.execute(_SESSIONS_BY_START)


def downgrade() -> None:
    """Put back the indexes; the function stays, as it does no harm."""
    op.execute("DROP INDEX meter_values_default_receipt, sessions_start_time")
    op.execute("CREATE INDEX sessions_start_time ON sessions (start_time)")


# A writer that had chosen the default partition would fail when its value's month is attached in
# the meantime: the lock on the parent lets those that write finish and the others choose anew.
_PARTITION_MONTH = """
CREATE OR REPLACE FUNCTION partition_month(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'meter_values_' || to_char(month, 'YYYY_MM');
    first timestamptz := month::timestamp AT TIME ZONE 'UTC';
    next timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('meter_values partitions', 0));
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE meter_values INCLUDING ALL)', name);
    LOCK TABLE meter_values IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE meter_values_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format(
        'WITH moved AS (DELETE FROM meter_values_default'
        ' WHERE sample_time >= %L AND sample_time < %L RETURNING *)'
        ' INSERT INTO %I SELECT * FROM moved', first, next, name
    );
    EXECUTE format(
        'ALTER TABLE meter_values ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        name, first, next
    );
END
$$
"""

# Retention deletes by it; few values are ever in this partition.
_DEFAULT_BY_RECEIPT = """
CREATE INDEX meter_values_default_receipt ON meter_values_default (receive_time)
"""

# The service makes those that follow; this one and the next are there before the first writer.
_FIRST_MONTHS = """
SELECT partition_month(date_trunc('month', now() AT TIME ZONE 'UTC' + after)::date)
FROM unnest(ARRAY[interval '0', interval '1 month']) AS after
"""

# A range of starts is listed in its order.
_SESSIONS_BY_START = """
DROP INDEX sessions_start_time;
CREATE INDEX sessions_start_time ON sessions (start_time, session_id);
"""
