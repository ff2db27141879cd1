"""`python -m tests.shop.commands FOLDER DATABASE_URL list ...`: the errors of a shop."""

import sys
from pathlib import Path

from quart.cli import ScriptInfo

from quartapp.reporting.commands import errors
from tests.shop.app import create_app

if __name__ == "__main__":
    folder, database_url, *arguments = sys.argv[1:]
    errors(arguments, obj=ScriptInfo(create_app=lambda: create_app(Path(folder), database_url)))
