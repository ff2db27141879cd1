"""logins, and names and scopes of tokens

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "logins",
        sa.Column("id", _ID, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("remembered", sa.Boolean(), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=250), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_logins_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logins")),
        sa.UniqueConstraint("digest", name=op.f("uq_logins_digest")),
    )
    op.create_index("ix_logins_expires_at", "logins", ["expires_at"])
    op.create_index("ix_logins_user_id_id", "logins", ["user_id", "id"])
    # With defaults, because servers of the version before go on issuing tokens.
    op.add_column(
        "api_tokens", sa.Column("name", sa.String(length=64), nullable=False, server_default="")
    )
    op.add_column(
        "api_tokens",
        sa.Column("scope", sa.String(length=32), nullable=False, server_default="read write"),
    )


def downgrade() -> None:
    op.drop_column("api_tokens", "scope")
    op.drop_column("api_tokens", "name")
    op.drop_index("ix_logins_user_id_id", table_name="logins")
    op.drop_index("ix_logins_expires_at", table_name="logins")
    op.drop_table("logins")
