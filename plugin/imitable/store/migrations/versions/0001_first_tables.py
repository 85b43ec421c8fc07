"""First tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "campaigns",
        sa.Column("campaign_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("build_hash", sa.String(length=64), nullable=False),
        sa.Column("built_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_campaigns")),
    )
    op.create_table(
        "identities",
        sa.Column("annotator_id", sa.String(length=40), nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("platform_id", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("annotator_id", name=op.f("pk_identities")),
        sa.UniqueConstraint("platform", "platform_id", name=op.f("uq_identities_platform_platform_id")),
    )
    op.create_table(
        "links",
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("platform_id", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_links")),
        sa.UniqueConstraint("platform", "platform_id", name=op.f("uq_links_platform_platform_id")),
    )
    op.create_table(
        "targets",
        sa.Column("target_id", sa.String(length=300), nullable=False),
        sa.Column("model_id", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("site", sa.String(length=120), nullable=False),
        sa.Column("unit", sa.Integer(), nullable=False),
        sa.Column("polarity", sa.String(length=4), nullable=False),
        sa.Column("selected_by", sa.String(length=200), nullable=False),
        sa.Column("l_ref", sa.Float(), nullable=False),
        sa.Column("scale_s", sa.Float(), nullable=False),
        sa.Column("scale_m", sa.Float(), nullable=False),
        sa.Column("file_hash", sa.String(length=64), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("target_id", name=op.f("pk_targets")),
    )
    op.create_table(
        "episodes",
        sa.Column("episode_id", sa.String(length=40), nullable=False),
        sa.Column("annotator_id", sa.String(length=40), nullable=False),
        sa.Column("target_id", sa.String(length=300), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("assigned_by", sa.String(length=20), nullable=False),
        sa.Column("assignment_probability", sa.Float(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["annotator_id"], ["identities.annotator_id"], name=op.f("fk_episodes_annotator_id")),
        sa.ForeignKeyConstraint(["target_id"], ["targets.target_id"], name=op.f("fk_episodes_target_id")),
        sa.PrimaryKeyConstraint("episode_id", name=op.f("pk_episodes")),
        sa.UniqueConstraint("annotator_id", "target_id", name=op.f("uq_episodes_annotator_id_target_id")),
    )
    with op.batch_alter_table("episodes", schema=None) as batch_op:
        batch_op.create_index("ix_episodes_annotator_id_started_at", ["annotator_id", "started_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_episodes_target_id"), ["target_id"], unique=False)

    op.create_table(
        "examples",
        sa.Column("target_id", sa.String(length=300), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("offsets", sa.JSON(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["target_id"], ["targets.target_id"], name=op.f("fk_examples_target_id")),
        sa.PrimaryKeyConstraint("target_id", "place", name=op.f("pk_examples")),
    )
    op.create_table(
        "items",
        sa.Column("item_id", sa.String(length=40), nullable=False),
        sa.Column("target_id", sa.String(length=300), nullable=False),
        sa.Column("split", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("focus_start", sa.Integer(), nullable=False),
        sa.Column("focus_end", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["target_id"], ["targets.target_id"], name=op.f("fk_items_target_id")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_items")),
    )
    with op.batch_alter_table("items", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_items_target_id"), ["target_id"], unique=False)

    op.create_table(
        "sittings",
        sa.Column("sitting_id", sa.String(length=40), nullable=False),
        sa.Column("annotator_id", sa.String(length=40), nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("assignment", sa.String(length=200), nullable=False),
        sa.Column("consent_version", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tutorial_step", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["annotator_id"], ["identities.annotator_id"], name=op.f("fk_sittings_annotator_id")),
        sa.PrimaryKeyConstraint("sitting_id", name=op.f("pk_sittings")),
        sa.UniqueConstraint("platform", "assignment", name=op.f("uq_sittings_platform_assignment")),
    )
    with op.batch_alter_table("sittings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sittings_annotator_id"), ["annotator_id"], unique=False)

    op.create_table(
        "answers",
        sa.Column("episode_id", sa.String(length=40), nullable=False),
        sa.Column("fun", sa.Integer(), nullable=True),
        sa.Column("interest", sa.Integer(), nullable=True),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("fun BETWEEN 1 AND 5", name=op.f("ck_answers_fun")),
        sa.CheckConstraint("interest BETWEEN 1 AND 5", name=op.f("ck_answers_interest")),
        sa.ForeignKeyConstraint(["episode_id"], ["episodes.episode_id"], name=op.f("fk_answers_episode_id")),
        sa.PrimaryKeyConstraint("episode_id", name=op.f("pk_answers")),
    )
    op.create_table(
        "guesses",
        sa.Column("episode_id", sa.String(length=40), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("guess", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["episode_id"], ["episodes.episode_id"], name=op.f("fk_guesses_episode_id")),
        sa.PrimaryKeyConstraint("episode_id", "trial", name=op.f("pk_guesses")),
    )
    op.create_table(
        "rounds",
        sa.Column("round_id", sa.String(length=40), nullable=False),
        sa.Column("episode_id", sa.String(length=40), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=10), nullable=False),
        sa.Column("item_id", sa.String(length=40), nullable=False),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("trial >= 1", name=op.f("ck_rounds_trial")),
        sa.ForeignKeyConstraint(["episode_id"], ["episodes.episode_id"], name=op.f("fk_rounds_episode_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_rounds_item_id")),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_rounds")),
        sa.UniqueConstraint("episode_id", "trial", name=op.f("uq_rounds_episode_id_trial")),
    )
    op.create_table(
        "sitting_episodes",
        sa.Column("sitting_id", sa.String(length=40), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("episode_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["episode_id"], ["episodes.episode_id"], name=op.f("fk_sitting_episodes_episode_id")),
        sa.ForeignKeyConstraint(["sitting_id"], ["sittings.sitting_id"], name=op.f("fk_sitting_episodes_sitting_id")),
        sa.PrimaryKeyConstraint("sitting_id", "place", name=op.f("pk_sitting_episodes")),
        sa.UniqueConstraint("episode_id", name=op.f("uq_sitting_episodes_episode_id")),
    )
    op.create_table(
        "truths",
        sa.Column("item_id", sa.String(length=40), nullable=False),
        sa.Column("truth", sa.Float(), nullable=False),
        sa.Column("activation", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.item_id"], name=op.f("fk_truths_item_id")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_truths")),
    )


def downgrade() -> None:

    op.drop_table("truths")
    op.drop_table("sitting_episodes")
    op.drop_table("rounds")
    op.drop_table("guesses")
    op.drop_table("answers")
    with op.batch_alter_table("sittings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sittings_annotator_id"))

    op.drop_table("sittings")
    with op.batch_alter_table("items", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_items_target_id"))

    op.drop_table("items")
    op.drop_table("examples")
    with op.batch_alter_table("episodes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_episodes_target_id"))
        batch_op.drop_index("ix_episodes_annotator_id_started_at")

    op.drop_table("episodes")
    op.drop_table("targets")
    op.drop_table("links")
    op.drop_table("identities")
    op.drop_table("campaigns")
