"""Meter values by month."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the function that makes the partition of a month."""
    op.execute(_PARTITION_MONTH)


def downgrade() -> None:
    """Drop the function; partitions stay as they are."""
    op.execute("DROP FUNCTION partition_month(date)")


# What a clock that ran ahead has put into the default partition moves along.
_PARTITION_MONTH = """
CREATE FUNCTION partition_month(month date) RETURNS void LANGUAGE plpgsql AS $$
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
