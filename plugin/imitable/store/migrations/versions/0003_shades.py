"""Activations at every token of an item's text, to shade the text after its guess"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "shades",
        sa.Column("item_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("offsets", sa.JSON(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_shades_item_id")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_shades")),
    )


def downgrade() -> None:

    op.drop_table("shades")
