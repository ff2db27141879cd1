"""name keys

Existing people keep their names. If several have names that look alike, the first of them has the
keys, and the others have none. With `--sql` no keys are made: run it online afterwards, or leave
people's names uncompared until they change them.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import context, op

from quartapp.microblog.names import keys_of

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COLUMNS = ("skeleton", "folded_skeleton")
_AT_ONCE = 1000


def upgrade() -> None:
    # Not in batch mode, which recreates the table: both databases add an empty column at once.
    for name in _COLUMNS:
        op.add_column("users", sa.Column(name, sa.String(length=255), nullable=True))
    if not context.is_offline_mode():
        _fill(op.get_bind())
    for name in _COLUMNS:
        op.create_index(f"ix_users_{name}", "users", [name], unique=True)


def _fill(connection: sa.Connection) -> None:
    users = sa.table("users", sa.column("id"), sa.column("username"), *map(sa.column, _COLUMNS))
    taken: tuple[set[str], ...] = (set(), set())
    last = 0
    while rows := connection.execute(
        sa.select(users.c.id, users.c.username)
        .where(users.c.id > last)
        .order_by(users.c.id)
        .limit(_AT_ONCE)
    ).all():
        changes = []
        for user_id, username in rows:
            keys = keys_of(username)
            if all(key not in held for key, held in zip(keys, taken, strict=True)):
                for key, held in zip(keys, taken, strict=True):
                    held.add(key)
                changes.append({"of": user_id, **keys._asdict()})
        if changes:
            statement = sa.update(users).where(users.c.id == sa.bindparam("of"))
            connection.execute(
                statement.values({name: sa.bindparam(name) for name in _COLUMNS}), changes
            )
        last = rows[-1].id


def downgrade() -> None:
    for name in _COLUMNS:
        op.drop_index(f"ix_users_{name}", table_name="users")
        op.drop_column("users", name)
