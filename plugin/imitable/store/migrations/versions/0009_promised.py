"""What each sitting was promised, and why payments have to wait"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:

    time = sa.DateTime(timezone=True)
    op.create_table(
        "pay_rules",
        sa.Column("pay_rule", sa.String(length=40), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("base", sa.String(length=40), nullable=False),
        sa.Column("bonus_per_point", sa.String(length=40), nullable=False),
        sa.Column("since", time, nullable=False),
        sa.PrimaryKeyConstraint("pay_rule", name=op.f("pk_pay_rules")),
    )
    op.add_column("sittings", sa.Column("pay_rule", sa.String(length=40)))
    op.create_table(
        "waits",
        sa.Column("wait_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("obligation_id", sa.String(length=40), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("seen_at", time, nullable=False),
        sa.ForeignKeyConstraint(["obligation_id"], ["obligations.obligation_id"], name=op.f("fk_waits_obligation_id")),
        sa.PrimaryKeyConstraint("wait_id", name=op.f("pk_waits")),
    )
    op.create_index(op.f("ix_waits_obligation_id"), "waits", ["obligation_id"])


def downgrade() -> None:

    op.drop_table("waits")
    op.drop_column("sittings", "pay_rule")
    op.drop_table("pay_rules")
