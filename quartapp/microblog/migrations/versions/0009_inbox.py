"""inbox

Revision ID: 0009
Revises: 0008
"""

from alembic import op

from quartapp.reporting import upgrades

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    upgrades.to_2(op)


def downgrade() -> None:
    upgrades.from_2(op)
