"""What the page of a round told of itself beside the guess"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:

    for name, kind in (("pasted", sa.Boolean()), ("copied", sa.Boolean()), ("blurs", sa.Integer())):
        op.add_column("guesses", sa.Column(name, kind))
    op.add_column("guesses", sa.Column("away_seconds", sa.Float()))


def downgrade() -> None:

    for name in ("away_seconds", "blurs", "copied", "pasted"):
        op.drop_column("guesses", name)
