"""Exit code 0 while the application in this container is ready to serve, otherwise 1."""

import os
import sys
from http.client import HTTPConnection, HTTPException

variables = os.environ  # noqa: TID251 of the container
host = variables.get("TRUSTED_HOSTS", "").split(",")[0].strip().removeprefix(".") or "localhost"
connection = HTTPConnection("127.0.0.1", int(variables.get("PORT", "5000")), timeout=2.5)
try:
    connection.request("GET", "/ready", headers={"Host": host})
    sys.exit(connection.getresponse().status != 200)
except (OSError, HTTPException) as error:
    sys.exit(f"not ready: {error}")
