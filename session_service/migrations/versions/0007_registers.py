"""Starts and stops without a register."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column that running code does not read; let the register of a stop be unknown."""
    op.execute(_SESSIONS)
    op.execute("ALTER TABLE orphan_stops ALTER COLUMN meter_stop DROP NOT NULL")


def downgrade() -> None:
    """Put a register that fits no start in the place of those that are unknown."""
    op.execute("UPDATE orphan_stops SET meter_stop = -9223372036854775808 WHERE meter_stop IS NULL")
    op.execute("ALTER TABLE orphan_stops ALTER COLUMN meter_stop SET NOT NULL")
    op.execute("ALTER TABLE sessions DROP COLUMN meter_start_read")


# A start without a register has 0 in `meter_start`, by which its repeats are told.
_SESSIONS = """
ALTER TABLE sessions
    ADD COLUMN meter_start_read bigint; -- the first register that was read, where none was told
"""
