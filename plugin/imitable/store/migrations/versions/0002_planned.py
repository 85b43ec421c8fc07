"""Plans of the next episodes"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "planned",
        sa.Column("target_id", sa.String(length=300), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.CheckConstraint("probability > 0 AND probability <= 1", name=op.f("ck_planned_probability")),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.target_id"], name=op.f("fk_planned_target_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("target_id", "level", name=op.f("pk_planned")),
    )


def downgrade() -> None:

    op.drop_table("planned")
