"""How far automatic players get"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "baselines",
        sa.Column("target_id", sa.String(length=300), nullable=False),
        sa.Column("player", sa.String(length=20), nullable=False),
        sa.Column("skill", sa.Float(), nullable=False),
        sa.Column("standard_error", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["target_id"], ["targets.target_id"], name=op.f("fk_baselines_target_id")),
        sa.PrimaryKeyConstraint("target_id", "player", name=op.f("pk_baselines")),
    )


def downgrade() -> None:

    op.drop_table("baselines")
