"""An application that mails its operators, and mail servers that say but one thing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from quartapp.flasklike import App
from quartapp.mail.smtp import Server
from quartapp.microblog.app import create_app
from quartapp.microblog.testing import GivenSettings


def mailing_app(folder: Path, database_url: str, port: int, **more: Any) -> App:
    """An application that keeps its files in `folder` and mails by the server on `port`."""
    return create_app(
        GivenSettings(
            environment="testing",
            database_url=database_url,
            instance_path=folder / "instance",
            log_dir=folder / "logs",
            mail_server="127.0.0.1",
            mail_port=port,
            admins=("ops@example.com",),
            **more,
        )
    )


@asynccontextmanager
async def greeting(words: bytes) -> AsyncIterator[Server]:
    """A mail server for one client, which says these words and then listens until that leaves."""
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
