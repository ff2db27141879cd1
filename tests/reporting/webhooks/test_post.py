"""POSTs to real servers, with every kind of fault."""

import asyncio
import gzip
import hmac
import socket
import ssl
import time
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quartapp.mail import outbox
from quartapp.reporting.endpoint import Endpoint
from quartapp.reporting.webhooks import post
from quartapp.reporting.webhooks.formats import Message
from quartapp.reporting.webhooks.post import check, deliver
from quartapp.testing.mail import certificate
from tests.reporting.webhooks.conftest import OK, Hook, serving

MESSAGE = Message("msg_1", b'{"text": "hello"}')
LIMIT = 0.3


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    assert post.SECONDS == 10
    monkeypatch.setattr(post, "SECONDS", LIMIT)


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Fake the answers of getaddrinfo, the last one again and again; returns what was asked."""
    asked: list[str] = []
    left = list(answers)

    def getaddrinfo(host: Any, port: Any, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port))
            for each in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


async def test_posts_a_signed_message(hook: Hook) -> None:
    key = b"k" * 32
    assert (await deliver([MESSAGE], hook.endpoint(key=key)))[0].is_sent
    [(line, fields, body)] = hook.requests
    assert line == "POST /services/T0/B0/canary-of-the-path HTTP/1.1"
    assert (body, fields["host"]) == (MESSAGE.body, f"127.0.0.1:{hook.port}")
    assert fields["content-type"] == "application/json"
    signed = f"msg_1.{fields['webhook-timestamp']}.".encode() + body
    version, _, signature = fields["webhook-signature"].partition(",")
    assert version == "v1"
    assert b64decode(signature) == hmac.digest(key, signed, "sha256")
    assert abs(int(fields["webhook-timestamp"]) - time.time()) < 60


@pytest.mark.parametrize(
    ("status", "rejected"),
    [
        *((status, True) for status in (302, 400, 403, 404, 410)),
        *((status, False) for status in (408, 425, 429, 500, 503)),
    ],
)
async def test_an_answer_is_kept_in_words(hook: Hook, status: int, rejected: bool) -> None:
    hook.answer = f"HTTP/1.1 {status} So\r\nContent-Length: 12\r\n\r\ninvalid_tok\n".encode()
    [outcome] = await deliver([MESSAGE], hook.endpoint())
    assert not outcome.is_sent
    assert outcome.rejected is rejected
    assert f"answered {status}" in outcome.error
    assert "So: invalid_tok" in outcome.error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_follows_no_redirect(hook: Hook, status: int) -> None:
    async with serving(Hook()) as other:
        location = f"http://127.0.0.1:{other.port}/latest/meta-data"
        hook.answer = f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\n\r\n".encode()
        [outcome] = await deliver([MESSAGE], hook.endpoint())
        assert f"answered {status}, a redirect, which is not followed" in outcome.error
        assert (other.connections, hook.connections) == (0, 1)


async def test_the_words_of_a_server_hold_no_secret(hook: Hook) -> None:
    def scrub(text: str) -> str:
        return text.replace("canary-of-the-path", "[hidden]")

    words = "x" * 285 + "canary-of-the-path" + "y" * 5000
    hook.answer = f"HTTP/1.1 404 No\r\n\r\n{words}".encode()
    [outcome] = await deliver([MESSAGE], hook.endpoint(scrub=scrub))
    assert "canary" not in outcome.error + repr(hook.endpoint())
    assert len(outcome.error) <= 400


async def drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"H")
        await asyncio.sleep(0.01)


async def say_nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def drip_the_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        writer.write(b"x")
        await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("answer", [drip, say_nothing, drip_the_body])
@pytest.mark.usefixtures("short")
async def test_a_slow_server_costs_ten_seconds_and_no_more(
    hook: Hook, answer: Callable[..., Any]
) -> None:
    hook.answer = answer
    began = time.monotonic()
    outcomes = await deliver([MESSAGE] * 3, hook.endpoint())
    assert time.monotonic() - began < 20  # LIMIT and little more; the server never ends
    assert hook.connections == 1  # the others need not wait for the same
    assert {outcome.is_sent for outcome in outcomes} == {False}
    assert "no whole answer within" in outcomes[-1].error


async def test_of_a_gigabyte_little_is_read(hook: Hook) -> None:
    sent = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    hook.answer = flood
    async with asyncio.timeout(60):
        [outcome] = await deliver([MESSAGE], hook.endpoint())
    assert "answered 500: No: xxx" in outcome.error
    assert sent < 20_000_000  # what the buffers of two sockets take


@pytest.mark.parametrize("line", [b"X: y\r\n", b"\r\nHTTP/1.1 100 Continue\r\n"])
async def test_of_an_endless_head_little_is_read(hook: Hook, line: bytes) -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n")
        while True:
            writer.write(line * 1000)
            await writer.drain()

    hook.answer = flood
    async with asyncio.timeout(60):
        [outcome] = await deliver([MESSAGE], hook.endpoint())
    assert "Error" in outcome.error
    assert "within" not in outcome.error


@pytest.mark.parametrize("status", [200, 500])
async def test_nothing_is_decompressed(hook: Hook, status: int) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    hook.answer = f"HTTP/1.1 {status} So\r\nContent-Encoding: gzip\r\n\r\n".encode() + bomb
    [outcome] = await deliver([MESSAGE], hook.endpoint())
    assert outcome.error == ("" if status == 200 else "it answered 500: So")


@pytest.mark.parametrize("nonsense", [b"", b"SSH-2.0-OpenSSH\r\n", b"\0" * 3000, b"HTTP/1.1 200"])
async def test_nonsense_is_an_outcome(hook: Hook, nonsense: bytes) -> None:
    hook.answer = nonsense
    [outcome] = await deliver([MESSAGE], hook.endpoint())
    assert outcome.error
    assert not outcome.rejected


async def test_a_server_that_is_away_is_an_outcome(unused_tcp_port: int) -> None:
    endpoint = Endpoint.of(f"http://127.0.0.1:{unused_tcp_port}/", allows_private=True)
    outcomes = await deliver([MESSAGE] * 2, endpoint)
    assert {"refused" in outcome.error.lower() for outcome in outcomes} == {True}
    assert "refused" in (await check(endpoint)).lower()


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"])
async def test_nothing_is_sent_to_private_addresses(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, ["8.8.8.8", address])  # one of them is enough
    endpoint = Endpoint.of(f"http://hook.example:{hook.port}/")
    [outcome] = await deliver([MESSAGE], endpoint)
    assert f"nothing is sent to hook.example: {address}" in outcome.error
    assert not outcome.rejected  # the message waits until the setting is right
    assert "nothing is sent" in await check(endpoint)
    assert hook.connections == 0


async def test_connects_to_the_address_that_was_checked(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    connected: list[str] = []
    loop = asyncio.get_running_loop()

    async def connect(_loop: object, _socket: object, address: Any) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(type(loop), "sock_connect", connect)
    await deliver([MESSAGE], Endpoint.of(f"http://rebind.example:{hook.port}/"))
    assert (asked, connected, hook.connections) == (["rebind.example"], ["8.8.8.8"], 0)


async def test_tries_the_next_address(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["::1", "127.0.0.1"])
    endpoint = Endpoint.of(f"http://hook.example:{hook.port}/", allows_private=True)
    [outcome] = await deliver([MESSAGE], endpoint)
    assert outcome.is_sent, outcome.error


async def test_uses_no_proxy(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert (await deliver([MESSAGE], hook.endpoint()))[0].is_sent


async def test_the_certificate_must_be_that_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        context, trusted = certificate(tmp_path)
    except FileNotFoundError:
        pytest.skip("no openssl: install it")
    trusting = ssl.create_default_context(cafile=str(trusted))
    async with serving(Hook(), context) as hook:
        url = f"https://127.0.0.1:{hook.port}/"
        endpoint = Endpoint.of(url, allows_private=True, context=trusting)
        assert await check(endpoint) == ""
        assert (await deliver([MESSAGE], endpoint))[0].is_sent
        stranger = Endpoint.of(url, allows_private=True)
        assert "CERTIFICATE_VERIFY_FAILED" in (await deliver([MESSAGE], stranger))[0].error
        resolving(monkeypatch, ["127.0.0.1"])
        other = Endpoint.of(
            url.replace("127.0.0.1", "hook.example"), allows_private=True, context=trusting
        )
        assert "Hostname mismatch" in (await deliver([MESSAGE], other))[0].error
        assert len(hook.requests) == 1


async def test_a_batch_ends_before_another_sender_takes_it_over(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert post.BATCH_SECONDS + 2 * post.SECONDS < outbox.LEASE
    monkeypatch.setattr(post, "BATCH_SECONDS", 0.0)
    outcomes = await deliver([MESSAGE] * 3, hook.endpoint())
    assert [outcome.tried for outcome in outcomes] == [True, False, False]


async def test_a_message_that_is_rejected_does_not_stop_the_others(hook: Hook) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        first = len(hook.requests) == 1
        writer.write(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n" if first else OK)

    hook.answer = answer
    outcomes = await deliver([MESSAGE] * 2, hook.endpoint())
    assert [outcome.is_sent for outcome in outcomes] == [False, True]


@pytest.mark.parametrize(
    "url",
    [
        *("", "hook", "ftp://example.com/x", "https://", "https://u:p@example.com/x"),
        *("https://a b/", "https://example.com:x/", "https://exämple.com/"),
        "https://example.com/\r\nX: y",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Endpoint.of(url)


def test_the_host_is_named_with_its_port_where_that_is_unusual() -> None:
    urls = ["https://example.com/x?y=1", "http://example.com:80", "https://[2606::1]:8443/"]
    endpoints = [Endpoint.of(url) for url in urls]
    authorities = [each.authority for each in endpoints]
    assert authorities == ["example.com", "example.com", "[2606::1]:8443"]
    assert [each.target for each in endpoints] == ["/x?y=1", "/", "/"]
    assert [each.port for each in endpoints] == [443, 80, 8443]
