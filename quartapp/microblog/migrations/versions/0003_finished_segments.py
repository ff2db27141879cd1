"""finished segments

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Until now every segment had this size, and is counted to its end only when it is finished.
_WHOLE = 1024 * 1024


def upgrade() -> None:
    # Not in batch mode, which recreates the table: SQLite can add a column with a constant default.
    op.add_column(
        "error_segments",
        sa.Column("finished", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.execute(f"UPDATE error_segments SET finished = true WHERE position >= {_WHOLE}")


def downgrade() -> None:
    op.drop_column("error_segments", "finished")
