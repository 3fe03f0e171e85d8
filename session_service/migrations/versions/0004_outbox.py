"""Events of sessions."""

from alembic import op

from servicekit.outbox.table import CREATE, DROP

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the outbox."""
    op.execute(CREATE)


def downgrade() -> None:
    """Drop the outbox with the events in it."""
    op.execute(DROP)
