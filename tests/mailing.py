"""An application that mails its operators, and mail servers that send only one reply."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from quartapp.flasklike import App
from quartapp.mail.delivery import Server
from tests.shop.app import create_app


def mailing_app(folder: Path, database_url: str, port: int, **more: Any) -> App:
    """An application that keeps its files in `folder` and mails by the server on `port`."""
    return create_app(
        folder,
        database_url,
        TESTING=True,
        MAIL_SERVER="127.0.0.1",
        MAIL_PORT=port,
        ADMINS="ops@example.com",
        **more,
    )


@asynccontextmanager
async def greeting(words: bytes) -> AsyncIterator[Server]:
    """A mail server for one client: it sends this reply, then reads until the client
    disconnects."""
    ended = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield Server("127.0.0.1", server.sockets[0].getsockname()[1])
        await ended.wait()
