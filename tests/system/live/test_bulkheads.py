"""Requests that wait, for a clock or for the database, take no others along."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from quartapp.microblog.migrate import migrate
from quartapp.microblog.testing import StartServer
from quartapp.testing import LiveServer

SERVE = str(Path(__file__).parents[2] / "microblog" / "serve.py")

get = partial(httpx.get, timeout=60)


@contextmanager
def clients(server: LiveServer, number: int, path: str) -> Iterator[None]:
    """So many clients that ask for a page, and wait for it until the end of the block."""
    address = urlsplit(server.url)
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(number):
            client = socket.create_connection((address.hostname, address.port), timeout=60)
            stack.enter_context(client)
            client.sendall(head)
        time.sleep(1)  # until all of them have been admitted, or wait for it
        yield


def test_clients_that_only_wait_stop_no_other_page(live_server: StartServer) -> None:
    with live_server(SERVE) as server:
        with clients(server, 600, "/wait?seconds=60"):
            for path in ("/explore", "/static/app.css", "/login"):
                assert get(server.url + path).status_code == 200
        assert get(f"{server.url}/explore").status_code == 200
        assert server.stop() == 0


def test_a_page_that_keeps_its_connections_takes_no_other_page_along(
    live_server: StartServer, each_database_url: str
) -> None:
    migrate(each_database_url)
    with live_server(SERVE, DATABASE_URL=each_database_url) as server:
        with clients(server, 40, "/hold?seconds=60"):
            # Without a connection it would be a 503 after five seconds.
            assert get(f"{server.url}/explore").status_code == 200
        assert server.stop() == 0


@pytest.mark.parametrize("path", ["/wait?seconds=60", "/hold?seconds=60"])
def test_a_request_that_is_not_answered_in_time_is_a_503_and_an_error_of_its_route(
    live_server: StartServer, path: str
) -> None:
    with live_server(SERVE, REQUEST_TIMEOUT="0.5", LOG_TO_STDOUT="true") as server:
        answer = get(server.url + path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "/static/app.css" in answer.text
        server.wait_for("RequestTimeoutError: no answer began within 0.5 seconds")
        assert f"Exception on {path.partition('?')[0]} [GET]" in server.output
        assert get(f"{server.url}/explore").status_code == 200
        assert server.stop() == 0
