"""form digests

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in batch mode, which recreates the table: both databases add an empty column at once.
    op.add_column("posts", sa.Column("form_digest", sa.String(length=32), nullable=True))
    # Posts without a digest are all different: NULL is unique in both databases.
    op.create_index(
        "ix_posts_user_id_form_digest", "posts", ["user_id", "form_digest"], unique=True
    )


def downgrade() -> None:
    op.drop_index("ix_posts_user_id_form_digest", table_name="posts")
    op.drop_column("posts", "form_digest")
