"""The environment of the command `alembic` in a checkout.

It is in the package, next to the versions, so that the wheel can migrate too.
"""

from runpy import run_path

from quartapp.microblog.migrate import MIGRATIONS

run_path(str(MIGRATIONS / "env.py"))
