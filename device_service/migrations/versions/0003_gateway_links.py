"""The links of gateways."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of links."""
    op.create_table(
        "gateway_links",
        sa.Column("gateway_id", sa.Text(collation="C"), primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("gateway_instance_id", sa.Text, nullable=False),
        sa.Column("replica_id", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("link_time", sa.TIMESTAMP(timezone=True), nullable=False),
    )
    # A gateway that links again, or is lost, asks for the connections of its process.
    op.create_index("connections_of_gateway", "connections", ["gateway_instance_id"])


def downgrade() -> None:
    """Drop the table of links."""
    op.drop_index("connections_of_gateway", "connections")
    op.drop_table("gateway_links")
