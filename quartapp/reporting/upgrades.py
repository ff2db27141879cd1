"""The steps from one version of the tables to the next, as operations of Alembic.

Reporting takes them in a database of its own (see `schema`). A migration of an application that has
the tables in its database may call the same step: `to_2(op)`. A step that was released is never
changed.
"""

from typing import Any

import sqlalchemy as sa

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def to_2(op: Any) -> None:
    """Make of version 1 what an inbox needs: references, people, places, acts, releases."""
    for column in _new_columns():
        op.add_column("error_groups", column)
    for name in ("first_seen", "changed_at"):
        op.create_index(f"ix_error_groups_{name}", "error_groups", [name])
    is_regressed = sa.text("regressed_at IS NOT NULL")
    op.create_index(
        "ix_error_groups_regressed_at",
        "error_groups",
        ["regressed_at"],
        sqlite_where=is_regressed,
        postgresql_where=is_regressed,
    )
    _create_counts(op)
    _create_acts(op)
    op.create_table(
        "error_webhooks",
        _group(),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("in_digest", sa.Boolean(), nullable=False),
        sa.Column("id", _LONG, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("leased_until", sa.Float(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=True),
        sa.Column("error", sa.String(500), nullable=False),
        _owner("error_webhooks"),
        sa.PrimaryKeyConstraint("id", name="pk_error_webhooks"),
        sa.UniqueConstraint(
            "group_id",
            "kind",
            "ordinal",
            "episode",
            name="uq_error_webhooks_group_id_kind_ordinal_episode",
        ),
    )
    for columns in (["group_id"], ["sent_at"], ["state", "due_at"]):
        op.create_index(f"ix_error_webhooks_{'_'.join(columns)}", "error_webhooks", columns)


def from_2(op: Any) -> None:
    """Undo `to_2`. What it had stored is lost; groups, counts and samples are not."""
    for table in ("webhooks", "releases", "feedback", "acts"):
        op.drop_table(f"error_{table}")
    for table in ("traffic", "tags", "people", "references", "hours"):
        op.drop_table(f"error_{table}")
    for name in ("regressed_at", "changed_at", "first_seen"):
        op.drop_index(f"ix_error_groups_{name}", "error_groups")
    for column in reversed(_new_columns()):
        op.drop_column("error_groups", column.name)


def _new_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("muted_rate", sa.Integer(), nullable=True),
        sa.Column("resolved_release", sa.String(200), nullable=True),
        sa.Column("regressed_at", sa.Float(), nullable=True),
        sa.Column("message", sa.String(500), server_default="", nullable=False),
        sa.Column("route", sa.String(200), server_default="", nullable=False),
        sa.Column("people", sa.Integer(), server_default="0", nullable=False),
        sa.Column("changed_at", sa.Float(), server_default="0", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
    ]


def _create_counts(op: Any) -> None:
    op.create_table(
        "error_hours",
        _group(),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        _owner("error_hours"),
        sa.PrimaryKeyConstraint("group_id", "hour", name="pk_error_hours"),
    )
    op.create_index("ix_error_hours_hour", "error_hours", ["hour"])
    op.execute(
        "INSERT INTO error_hours (group_id, hour, count)"
        " SELECT group_id, minute / 60, sum(count) FROM error_minutes"
        " GROUP BY group_id, minute / 60"
    )
    op.create_table(
        "error_references",
        sa.Column("number", _LONG, autoincrement=False, nullable=False),
        sa.Column("group_id", _LONG, nullable=False),
        sa.Column("seen_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_error_references"),
    )
    op.create_table(
        "error_people",
        _group(),
        sa.Column("person", sa.BigInteger(), autoincrement=False, nullable=False),
        _owner("error_people"),
        sa.PrimaryKeyConstraint("group_id", "person", name="pk_error_people"),
    )
    op.create_table(
        "error_tags",
        _group(),
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("value", sa.String(200), nullable=False),
        sa.Column("first_seen", sa.Float(), nullable=False),
        sa.Column("last_seen", sa.Float(), nullable=False),
        _owner("error_tags"),
        sa.PrimaryKeyConstraint("group_id", "name", "value", name="pk_error_tags"),
    )
    op.create_index("ix_error_tags_name_value", "error_tags", ["name", "value"])
    op.create_table(
        "error_traffic",
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("host", sa.String(64), nullable=False),
        sa.Column("responses", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("minute", "host", name="pk_error_traffic"),
    )


def _create_acts(op: Any) -> None:
    op.create_table(
        "error_acts",
        sa.Column("id", _LONG, nullable=False),
        _group(),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        _owner("error_acts"),
        sa.PrimaryKeyConstraint("id", name="pk_error_acts"),
    )
    op.create_index("ix_error_acts_group_id", "error_acts", ["group_id"])
    op.create_table(
        "error_feedback",
        sa.Column("id", _LONG, nullable=False),
        sa.Column("group_id", _LONG, nullable=True),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        _owner("error_feedback"),
        sa.PrimaryKeyConstraint("id", name="pk_error_feedback"),
    )
    for column in ("group_id", "reference"):
        op.create_index(f"ix_error_feedback_{column}", "error_feedback", [column])
    op.create_table(
        "error_releases",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_error_releases"),
    )
    op.create_index("ix_error_releases_at", "error_releases", ["at"])


def _group() -> sa.Column[Any]:
    return sa.Column("group_id", _LONG, nullable=False)


def _owner(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["group_id"],
        ["error_groups.id"],
        name=f"fk_{table}_group_id_error_groups",
        ondelete="CASCADE",
    )
