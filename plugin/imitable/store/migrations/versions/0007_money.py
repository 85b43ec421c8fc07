"""The tables of money"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:

    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("about", sa.String(length=80), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("decided_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decisions")),
    )
    op.create_table(
        "obligations",
        sa.Column("obligation_id", sa.String(length=40), nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("assignment", sa.String(length=200), nullable=False),
        sa.Column("annotator_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("sitting_id", sa.String(length=40), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("decision_id", sa.Integer()),
        sa.Column("decided_at", _TIME, nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_obligations_amount")),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.decision_id"], name=op.f("fk_obligations_decision_id")),
        sa.PrimaryKeyConstraint("obligation_id", name=op.f("pk_obligations")),
        sa.UniqueConstraint(
            "platform",
            "assignment",
            "annotator_id",
            "kind",
            name=op.f("uq_obligations_platform_assignment_annotator_id_kind"),
        ),
    )
    op.create_index(op.f("ix_obligations_sitting_id"), "obligations", ["sitting_id"])
    op.create_table(
        "reservations",
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("each", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("platform", "name", name=op.f("pk_reservations")),
    )
    op.create_table(
        "batches",
        sa.Column("batch_id", sa.String(length=100), nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("sent_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batches")),
    )
    op.create_table(
        "attempts",
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("obligation_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.String(length=100)),
        sa.Column("endpoint", sa.String(length=300), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.batch_id"], name=op.f("fk_attempts_batch_id")),
        sa.ForeignKeyConstraint(
            ["obligation_id"], ["obligations.obligation_id"], name=op.f("fk_attempts_obligation_id")
        ),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("obligation_id", "number", name=op.f("uq_attempts_obligation_id_number")),
    )
    op.create_table(
        "outcomes",
        sa.Column("outcome_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("fee", sa.Integer()),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.CheckConstraint("state IN ('paid', 'failed', 'unknown', 'absent')", name=op.f("ck_outcomes_state")),
        sa.ForeignKeyConstraint(["operation_id"], ["attempts.operation_id"], name=op.f("fk_outcomes_operation_id")),
        sa.PrimaryKeyConstraint("outcome_id", name=op.f("pk_outcomes")),
    )
    op.create_index(op.f("ix_outcomes_operation_id"), "outcomes", ["operation_id"])


def downgrade() -> None:

    for name in ("outcomes", "attempts", "batches", "reservations", "obligations", "decisions"):
        op.drop_table(name)
