"""`python -m tests.shop.serve FOLDER WORKERS` serves the shop, as run.py serves the microblog."""

import sys
from functools import partial
from pathlib import Path

from quartapp.serving import server
from quartapp.serving.settings import ServingSettings
from tests.shop.app import create_app

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    make = partial(create_app, folder, f"sqlite:///{folder / 'shop.db'}")
    sys.exit(server.run(make, ServingSettings(port=0, workers=int(sys.argv[2]))))
