"""Migrations by Alembic: what `quart db` does, for tests and for scripts that start an application.

    asyncio.run(migrations.upgrade(app))

`environment` is what the env.py of an application's migrations calls, `outside_transaction` is for
migrations, and `commands` are those of `quart db`. `template` has the files that `quart db init`
writes.
"""

from quartapp.database.migrations.environment import outside_transaction
from quartapp.database.migrations.review import lint
from quartapp.database.migrations.running import MigrationError, downgrade, stamp, upgrade

__all__ = ["MigrationError", "downgrade", "lint", "outside_transaction", "stamp", "upgrade"]
