"""Sessions by connector and start."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an index."""
    op.execute(_BY_CONNECTOR)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX sessions_connector")


# Finds the session of a meter value, and whether a newer one had begun by then.
_BY_CONNECTOR = """
CREATE INDEX sessions_connector
    ON sessions (charge_point_id, connector_id, start_time, transaction_id);
"""
