"""Migrating the database from Python."""

from pathlib import Path
from typing import Any

MIGRATIONS = Path(__file__).with_name("migrations")
"""The folder with Alembic's environment and the versions."""


def migrate(database_url: str) -> str:
    """Migrate the database to the newest version; returns a sentence, or "" if nothing was to do.

    Call it outside of any event loop. Raises MigrationError, whose text is a sentence.
    """
    from alembic import command
    from alembic.config import Config

    from quartapp.database.migrations.running import sentences

    revisions: list[str] = []

    def note(step: Any, **_more: Any) -> None:
        revisions.extend([*(step.source_revision_ids or ["base"]), step.up_revision_id])

    attributes = {"database_url": database_url, "on_version_apply": note}
    config = Config(attributes=attributes)
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with sentences("quart --app quartapp"):
        command.upgrade(config, "head")
    if not revisions:
        return ""
    return f"the database was migrated from {revisions[0]} to {revisions[-1]}"
