"""Counts the open commands of a charge point, as they are while its row is locked."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A statement sees the commands that were there when it began. A volatile function sees those that
# are there when it is called: after the wait for a lock, those of the one that held it.
_CREATE = """
CREATE FUNCTION count_open_commands(text) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT count(*) FROM commands WHERE charge_point_id = $1 AND complete_time IS NULL
$$
"""


def upgrade() -> None:
    """Create the function."""
    op.execute(_CREATE)


def downgrade() -> None:
    """Drop the function."""
    op.execute("DROP FUNCTION count_open_commands(text)")
