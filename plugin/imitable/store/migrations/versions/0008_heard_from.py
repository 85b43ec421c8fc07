"""Who a platform says wrote in an annotation last, which may be another than whose it is said to be"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.add_column("heard", sa.Column("updated_by", sa.String(length=200)))


def downgrade() -> None:

    op.drop_column("heard", "updated_by")
