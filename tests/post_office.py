"""A mail server in a thread, for programs that have no loop, or another one."""

import asyncio
import threading
import time
from typing import Any

from quartapp.testing import MailServer


class PostOffice:
    """A `MailServer`, and the loop in which it runs. It listens after `start`."""

    def __init__(self) -> None:
        self.server = MailServer()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def start(self, **options: Any) -> None:
        self._do(self.server.start(**options))

    def stop(self) -> None:
        self._do(self.server.stop())

    def close(self) -> None:
        self.stop()
        self._do(self._end_conversations())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _end_conversations(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)

    @property
    def address(self) -> tuple[str, int]:
        return self.server.host, self.server.port

    def wait_for(self, mails: int, seconds: float = 60.0) -> None:
        """Wait for so many mails. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while len(self.server.mails) < mails:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(self.server.mails)} mails came, not {mails}")
            time.sleep(0.005)

    @property
    def counts(self) -> list[str]:
        """The line that begins with Count in each mail."""
        lines = (line for mail in self.server.mails for line in mail.text.splitlines())
        return [line.split(maxsplit=1)[1] for line in lines if line.startswith("Count:")]

    def _do(self, doing: Any) -> None:
        asyncio.run_coroutine_threadsafe(doing, self.loop).result(60)
