"""Id tags."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of id tags."""
    op.create_table(
        "id_tags",
        sa.Column("id_tag_key", sa.Text, primary_key=True),
        sa.Column("id_tag", sa.Text, nullable=False),
        sa.Column(
            "parent_key", sa.Text, sa.ForeignKey("id_tags.id_tag_key", name="id_tags_parent")
        ),
        sa.Column("expire_time", sa.TIMESTAMP(timezone=True)),
        sa.Column("blocked", sa.Boolean, nullable=False),
        sa.Column("max_active_transactions", sa.Integer, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("create_time", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("update_time", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
    )
    op.create_index("id_tags_newest", "id_tags", ["create_time", "id_tag_key"])
    op.create_index("id_tags_parent_key", "id_tags", ["parent_key"])


def downgrade() -> None:
    """Drop the table of id tags."""
    op.drop_table("id_tags")
