"""What levels show beside texts, and what was looked up"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "gauges",
        sa.Column("target_id", sa.String(length=300), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(length=300), nullable=False),
        sa.Column("chosen_by", sa.String(length=20), nullable=False),
        sa.Column("strength", sa.Float(), nullable=False),
        sa.Column("weights", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["target_id"], ["targets.target_id"], name=op.f("fk_gauges_target_id")),
        sa.PrimaryKeyConstraint("target_id", "level", "place", name=op.f("pk_gauges")),
    )
    op.create_table(
        "readings",
        sa.Column("item_id", sa.String(length=40), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_readings_item_id")),
        sa.PrimaryKeyConstraint("item_id", "level", name=op.f("pk_readings")),
    )
    op.create_table(
        "looks",
        sa.Column("round_id", sa.String(length=40), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.round_id"], name=op.f("fk_looks_round_id")),
        sa.PrimaryKeyConstraint("round_id", "place", name=op.f("pk_looks")),
    )


def downgrade() -> None:

    op.drop_table("looks")
    op.drop_table("readings")
    op.drop_table("gauges")
