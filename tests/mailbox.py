"""`python -m tests.mailbox CERTIFICATE KEY NAME PASSWORD [DELAY]`: an SMTP server in a separate
process, which requires STARTTLS and a login, and prints each mail as a line of JSON.

`Mailbox` is that process, for tests.
"""

import asyncio
import email
import email.policy
import json
import subprocess
import sys
import threading
import time
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Self

from quartapp.testing.mail import MailServer, Received, certificate, server_context

ROOT = Path(__file__).parents[1]


class Mailbox:
    """Start and stop it by a `with` block. `mails` grows; `trusted` is the file of its certificate.

    Raises FileNotFoundError without the openssl program.
    """

    def __init__(self, folder: Path, name: str, password: str, *, delay: float = 0.0) -> None:
        certificate(folder)
        self.trusted = folder / "cert.pem"
        self.mails: list[Received] = []
        files = [str(self.trusted), str(folder / "key.pem")]
        self._command = [sys.executable, "-m", "tests.mailbox", *files, name, password, str(delay)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8"
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(60)
        self._reader.join(60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def wait_for(self, mails: int, seconds: float = 60.0) -> None:
        """Wait for so many mails. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while len(self.mails) < mails:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.mails)} mails came, not {mails}")
            time.sleep(0.05)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            raw = json.loads(line)
            message = email.message_from_string(raw.pop("message"), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.mails.append(
                Received(message=message, recipients=tuple(raw.pop("recipients")), **raw)
            )


async def serve(cert: str, key: str, name: str, password: str, delay: str) -> None:
    server = MailServer(delay=float(delay))
    await server.start(tls=server_context(Path(cert), Path(key)), login=(name, password))
    print(server.port, flush=True)
    printed = 0
    while True:
        for mail in server.mails[printed:]:
            raw = {
                "sender": mail.sender,
                "recipients": mail.recipients,
                "over_tls": mail.over_tls,
                "username": mail.username,
                "message": mail.message.as_string(),
            }
            print(json.dumps(raw), flush=True)
            printed += 1
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    given = [*sys.argv[1:], "0"][:5]
    asyncio.run(serve(*given))
