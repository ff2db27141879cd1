"""Migrating the database from Python."""

from pathlib import Path

from quartapp.settings import ConfigurationError


def migrate(database_url: str) -> None:
    """Migrate the database to the newest version. Call it outside of any event loop.

    Raises ConfigurationError if the migrations are not next to the package.
    """
    from alembic import command
    from alembic.config import Config

    ini = Path(__file__).parents[2] / "alembic.ini"
    if not ini.exists():
        raise ConfigurationError(f"there are no migrations next to the package: {ini} is missing")
    config = Config(ini)
    config.attributes["database_url"] = database_url
    command.upgrade(config, "head")
