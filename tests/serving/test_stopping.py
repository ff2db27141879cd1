"""How a process leaves its socket to another one, and drains."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import pytest

from quartapp.serving import hypercorn_server, uvicorn_server
from quartapp.serving.stopping import Stop


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc has the open files")
async def test_a_drain_ends_with_the_last_connection_and_leaves_no_file_open() -> None:
    stop = Stop(None, grace=10)
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as listener,
        closing(socket.create_connection(listener.getsockname())),
    ):
        accepted, _ = listener.accept()
        files = os.listdir("/proc/self/fd")
        with suppress(TimeoutError):
            async with asyncio.timeout(0.35):
                await stop.drain(60, listener.getsockname()[1])
        assert not stop.begun.is_set()
        assert len(os.listdir("/proc/self/fd")) == len(files)
        accepted.close()
        async with asyncio.timeout(5):
            await stop.drain(60, listener.getsockname()[1])
    assert stop.begun.is_set()
    stop.end()
    stop.keep_process()


@pytest.mark.slow
@pytest.mark.parametrize("server", [hypercorn_server, uvicorn_server])
async def test_a_connection_accepted_just_before_the_process_leaves_is_served(server: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    address = listener.getsockname()
    answer = b""

    async def until_told(leave: Callable[[], None]) -> None:
        nonlocal answer
        with closing(socket.create_connection(address)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.setblocking(False)
            for _ in range(2):  # it is accepted, and not yet served
                await asyncio.sleep(0)
            leave()
            async with asyncio.timeout(5):
                answer = await asyncio.get_running_loop().sock_recv(client, 1000)

    with closing(listener):
        await server.serve(app, listener.dup(), until_told, 0.1)
    head = answer.decode().lower()
    assert head.startswith("http/1.1 204")
    assert "\r\nconnection: close\r\n" in head
