"""What servers serve: `quart dev`, `quart run`, `hypercorn app:app`."""

from myapp import create_app

app = create_app()
