"""By which door a sitting's annotator came, and where its end is told"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:

    for name, size in (("submission", 100), ("study", 100), ("return_to", 300)):
        op.add_column("sittings", sa.Column(name, sa.String(length=size), server_default="", nullable=False))
    op.add_column("sittings", sa.Column("proven", sa.Boolean(), server_default=sa.true(), nullable=False))


def downgrade() -> None:

    for name in ("proven", "return_to", "study", "submission"):
        op.drop_column("sittings", name)
