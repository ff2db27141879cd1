"""Oversized requests over real sockets get a 4xx at once, and cause no error."""

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


def test_what_is_too_much_is_no_error_of_ours(live_server: StartServer) -> None:
    form = b"Content-Type: application/x-www-form-urlencoded"
    json = b"Content-Type: application/json"
    bodies = [
        (b"/login", form, b"a&" * 500_000, 413),
        (b"/login", form, b"username=a" + b"%CC%81" * 12_000 + b"%CC%96" * 12_000, 400),
        (b"/api/users", json, b"[" * 500_000, 400),
        (b"/api/users", json, b"{" + b'"a":1,' * 100_000 + b'"b":1}', 422),
    ]
    with live_server() as server:
        for path, kind, body, status in bodies:
            length = b"Content-Length: %d" % len(body)
            line = b"POST " + path + b" HTTP/1.1"
            assert talk(server, line, b"Host: localhost", kind, length, body=body) == status
        for line in (b"GET /" + b"a" * 9_000, b"GET /" + b"a" * 100_000, b"GET /?" + b"a&" * 101):
            assert 400 <= talk(server, line + b" HTTP/1.1", b"Host: localhost") < 500
        assert 400 <= talk(server, b"GET / HTTP/1.1", b"Host: a", *[b"X: a"] * 101) < 500
        assert server.stop() == 0
        assert "ERROR" not in server.output
        assert "Traceback" not in server.output
