"""What strangers send over real sockets: a 4xx at once, and no error of ours."""

import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from quartapp.microblog.testing import StartServer
from quartapp.testing import LiveServer

HOSTS = [b"a" * 64 + b".example", b"a..b", b"[::1", b"a_b c", b"x:99999"]


def talk(server: LiveServer, *lines: bytes, body: bytes = b"") -> int:
    """The status for a request that no client library would send."""
    address = urlsplit(server.url)
    with closing(socket.create_connection((address.hostname, address.port), timeout=60)) as wire:
        wire.sendall(b"\r\n".join(lines) + b"\r\nConnection: close\r\n\r\n" + body)
        return int(wire.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("path", [b"/", b"/api/posts", b"/static/app.css"])
def test_a_host_that_cannot_exist_is_no_error_of_ours(
    live_server: StartServer, path: bytes
) -> None:
    with live_server() as server:
        for host in HOSTS:
            assert talk(server, b"GET " + path + b" HTTP/1.1", b"Host: " + host) == 400
        assert talk(server, b"GET /health HTTP/1.1", b"Host: localhost") == 200
        assert server.stop() == 0
        assert "ERROR" not in server.output
        assert "Traceback" not in server.output
