"""Requests that schemathesis generates from the OpenAPI document, on a real server and both
engines.

Every response must be one that the document describes: no 5xx, no accepted request that the schema
forbids, no rejected one that it allows, no view that does not require the token. `make fuzz` sends
more requests, which are random instead of the same each time.
"""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest

from quartapp.microblog.testing import StartServer
from quartapp.testing import LiveServer

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = os.environ.get("QUARTAPP_FUZZ_EXAMPLES", "")
OPERATIONS = 20

get, post = partial(httpx.get, timeout=60), partial(httpx.post, timeout=60)


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_generated_requests_find_no_fault(live_server: StartServer, tmp_path: Path) -> None:
    with live_server() as server:
        token = populate(server)
        amount = ("--max-examples", EXAMPLES) if EXAMPLES else ("--max-examples=3", "--seed=1")
        phases = "coverage,fuzzing,stateful" if EXAMPLES else "coverage,fuzzing"
        run = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", f"--config-file={CONFIG}", "run"),
                *("--phases", phases, "--no-color", *amount),
                f"{server.url}/api/openapi.json",
            ],
            cwd=tmp_path,
            env=os.environ | {"API_TOKEN": token},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
        assert f"Tested: {OPERATIONS}" in run.stdout
        generated = re.search(r"([\d,]+) generated", run.stdout)
        assert generated
        assert int(generated[1].replace(",", "")) > 20 * OPERATIONS
        # The token was not revoked, so the requests with it reached the views.
        headers = {"Authorization": f"Bearer {token}"}
        assert get(f"{server.url}/api/posts", headers=headers).status_code == 200
    assert " ERROR " not in server.output, server.output[-4000:]
    assert "Traceback" not in server.output


def populate(server: LiveServer) -> str:
    """Two people and a post; returns the second token of the first, as requests end token 1."""
    for name in ("susan", "david"):
        person = {"username": name, "email": f"{name}@example.com", "password": "cat-on-the-mat"}
        post(f"{server.url}/api/users", json=person).raise_for_status()
    susan = ("susan", "cat-on-the-mat")
    for name in ("first", "second"):
        answer = post(f"{server.url}/api/tokens", auth=susan, json={"name": name})
    token: str = answer.raise_for_status().json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    post(f"{server.url}/api/posts", json={"body": "hi"}, headers=headers).raise_for_status()
    return token
