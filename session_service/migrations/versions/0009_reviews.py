"""When sessions that have ended are looked at again."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column that running code does not read."""
    op.execute(_REVIEWS)


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE sessions DROP COLUMN review_time")


_REVIEWS = """
ALTER TABLE sessions
    ADD COLUMN review_time timestamptz; -- null: no more late meter values are looked for
CREATE INDEX sessions_review ON sessions (review_time) WHERE review_time IS NOT NULL;
"""
