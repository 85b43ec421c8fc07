"""Tasks that stand on a platform, what it says of them, and guesses that nobody of ours timed"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:

    time = sa.DateTime(timezone=True)
    op.create_table(
        "tasks",
        sa.Column("task_key", sa.String(length=40), nullable=False),
        sa.Column("episode_id", sa.String(length=40), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("project", sa.String(length=40), nullable=False),
        sa.Column("external_id", sa.String(length=40)),
        sa.Column("published_at", time, nullable=False),
        sa.ForeignKeyConstraint(["episode_id"], ["episodes.episode_id"], name=op.f("fk_tasks_episode_id")),
        sa.PrimaryKeyConstraint("task_key", name=op.f("pk_tasks")),
        sa.UniqueConstraint("episode_id", "trial", name=op.f("uq_tasks_episode_id_trial")),
    )
    op.create_table(
        "heard",
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("annotation_id", sa.String(length=40), nullable=False),
        sa.Column("task_key", sa.String(length=40), nullable=False),
        sa.Column("completed_by", sa.String(length=200), nullable=False),
        sa.Column("updated_at", time, nullable=False),
        sa.Column("lead_time", sa.Float()),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("first_result", sa.JSON(), nullable=False),
        sa.Column("gone_at", time),
        sa.ForeignKeyConstraint(["task_key"], ["tasks.task_key"], name=op.f("fk_heard_task_key")),
        sa.PrimaryKeyConstraint("platform", "annotation_id", name=op.f("pk_heard")),
    )
    op.create_index(op.f("ix_heard_task_key"), "heard", ["task_key"])
    op.create_table(
        "pulls",
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("up_to", time, nullable=False),
        sa.PrimaryKeyConstraint("platform", name=op.f("pk_pulls")),
    )
    with op.batch_alter_table("guesses") as guesses:
        guesses.alter_column("seconds", existing_type=sa.Float(), nullable=True)


def downgrade() -> None:

    with op.batch_alter_table("guesses") as guesses:
        guesses.alter_column("seconds", existing_type=sa.Float(), nullable=False)
    for name in ("pulls", "heard", "tasks"):
        op.drop_table(name)
