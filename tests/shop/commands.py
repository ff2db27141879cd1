"""`python -m tests.shop.commands FOLDER DATABASE_URL list ...`: the errors of a shop."""

import sys
from pathlib import Path

from quartapp.reporting.commands import error_commands
from tests.shop.app import create_app

if __name__ == "__main__":
    folder, database_url, *arguments = sys.argv[1:]
    error_commands(lambda: create_app(Path(folder), database_url).extensions["reporting"])(
        arguments
    )
