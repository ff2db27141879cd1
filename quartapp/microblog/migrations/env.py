"""Alembic's environment: it reaches the database through the settings of the application.

A caller in Python may set `config.attributes["database_url"]`; the command `alembic` reads the
environment as the application does, and runs an event loop, so do not call it within one. With
`quart --app quartapp db` the database is the application's.
"""

import sys
from logging.config import fileConfig

from alembic import context

from quartapp.database import DatabaseEngine
from quartapp.database.migrations import environment
from quartapp.microblog.config import ToolSettings, load_settings
from quartapp.microblog.models import Base
from quartapp.reporting import tables
from quartapp.settings import ConfigurationError

config = context.config
if config.config_file_name is not None and config.cmd_opts is not None:
    # Only for the command line, and without disabling existing loggers.
    fileConfig(config.config_file_name, disable_existing_loggers=False)


def database() -> DatabaseEngine:
    url = config.attributes.get("database_url")
    if url is None:
        try:
            url = load_settings(ToolSettings).database_url
        except ConfigurationError as error:
            sys.exit(f"alembic: {error}")
    return DatabaseEngine(str(url))


environment.run(metadata=[Base.metadata, tables.metadata], database=database)
