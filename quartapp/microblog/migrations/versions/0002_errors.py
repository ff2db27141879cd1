"""errors

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "error_groups",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fingerprint", sa.String(length=40), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("culprit", sa.String(length=200), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.Float(), nullable=True),
        sa.Column("muted_until", sa.Float(), nullable=True),
        sa.Column("muted_more", sa.Integer(), nullable=True),
        sa.Column("alert_state", sa.Text(), nullable=True),
        sa.Column("wake_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_error_groups")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_error_groups_fingerprint")),
    )
    with op.batch_alter_table("error_groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_error_groups_last_seen"), ["last_seen"], unique=False)
        batch_op.create_index(batch_op.f("ix_error_groups_wake_at"), ["wake_at"], unique=False)

    op.create_table(
        "error_segments",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("corrupt", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_error_segments")),
    )
    op.create_table(
        "error_alerts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("leased_until", sa.Float(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=True),
        sa.Column("in_digest", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["error_groups.id"],
            name=op.f("fk_error_alerts_group_id_error_groups"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_error_alerts")),
        sa.UniqueConstraint(
            "group_id",
            "kind",
            "ordinal",
            "episode",
            name=op.f("uq_error_alerts_group_id_kind_ordinal_episode"),
        ),
    )
    with op.batch_alter_table("error_alerts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_error_alerts_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_error_alerts_sent_at"), ["sent_at"], unique=False)
        batch_op.create_index("ix_error_alerts_state_due_at", ["state", "due_at"], unique=False)

    op.create_table(
        "error_minutes",
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["error_groups.id"],
            name=op.f("fk_error_minutes_group_id_error_groups"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("group_id", "minute", "host", name=op.f("pk_error_minutes")),
    )
    with op.batch_alter_table("error_minutes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_error_minutes_minute"), ["minute"], unique=False)

    op.create_table(
        "error_samples",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("report_id", sa.String(length=64), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("release", sa.String(length=200), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["error_groups.id"],
            name=op.f("fk_error_samples_group_id_error_groups"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_error_samples")),
        sa.UniqueConstraint("report_id", name=op.f("uq_error_samples_report_id")),
    )
    with op.batch_alter_table("error_samples", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_error_samples_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_error_samples_reference"), ["reference"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("error_samples", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_error_samples_reference"))
        batch_op.drop_index(batch_op.f("ix_error_samples_group_id"))

    op.drop_table("error_samples")
    with op.batch_alter_table("error_minutes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_error_minutes_minute"))

    op.drop_table("error_minutes")
    with op.batch_alter_table("error_alerts", schema=None) as batch_op:
        batch_op.drop_index("ix_error_alerts_state_due_at")
        batch_op.drop_index(batch_op.f("ix_error_alerts_sent_at"))
        batch_op.drop_index(batch_op.f("ix_error_alerts_group_id"))

    op.drop_table("error_alerts")
    op.drop_table("error_segments")
    with op.batch_alter_table("error_groups", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_error_groups_wake_at"))
        batch_op.drop_index(batch_op.f("ix_error_groups_last_seen"))

    op.drop_table("error_groups")
