"""A mailbox for development: mails are kept in a folder of files, and none is sent."""

import asyncio
import os
import re
import time
from collections.abc import Sequence
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

from quartapp.mail.delivery import Mail, Outcome
from quartapp.mail.strings import one_line
from quartapp.permissions import make_private_file, make_private_folder

ROOM = 100
"""The number of mails that are kept."""

_NAME = re.compile(r"\d{19,20}")


class Mailbox:
    """The last ROOM mails, each in a file of `folder`, which only its owner can read.

    A file is what a mail server hands to a mail program: the envelope's sender in `Return-Path`,
    its recipients in `Delivered-To`, then the message. Several processes may share a folder.
    """

    def __init__(self, folder: Path, *, room: int = ROOM) -> None:
        self.folder = folder
        self._room = room

    async def deliver(self, mails: Sequence[Mail]) -> list[Outcome]:
        """Keep mails; an outcome for each, in their order. Raises only if it is cancelled."""
        return await asyncio.to_thread(self._keep_all, mails)

    def names(self) -> list[str]:
        """The names of the mails, the newest first. Reads the folder in the caller's thread."""
        try:
            found = [path.stem for path in self.folder.glob("*.eml")]
        except OSError:
            return []
        return sorted(filter(_NAME.fullmatch, found), reverse=True)

    def source(self, name: str) -> bytes | None:
        """A mail as it was kept; None if there is none of this name."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def _keep_all(self, mails: Sequence[Mail]) -> list[Outcome]:
        outcomes = [self._keep(mail) for mail in mails]
        for name in self.names()[self._room :]:
            self._path(name).unlink(missing_ok=True)
        return outcomes

    def _keep(self, mail: Mail) -> Outcome:
        try:
            make_private_folder(self.folder)
            name = f"{time.time_ns():019d}"
            while self._path(name).exists():
                name = f"{int(name) + 1:019d}"
            # Renamed when it is whole, so that nobody reads half of it.
            path = self.folder / f"{name}.{os.getpid()}.new"
            make_private_file(path)
            path.write_bytes(_envelope(mail) + mail.content)
            path.rename(self._path(name))
        except OSError as error:
            return Outcome(one_line(f"the mailbox: {error}", 500))
        return Outcome()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.eml"


def read(source: bytes, *, header_only: bool = False) -> EmailMessage:
    """A kept mail as a message; without its body if only the header is read."""
    message = BytesParser(policy=default).parsebytes(source, headersonly=header_only)
    assert isinstance(message, EmailMessage)
    return message


def kept_at(name: str) -> float:
    """When a mail was kept, by its name, in seconds since the epoch."""
    return int(name) / 1e9


def _envelope(mail: Mail) -> bytes:
    lines = [f"Return-Path: <{one_line(mail.sender)}>"]
    lines += [f"Delivered-To: {one_line(to, 320)}" for to in mail.recipients]
    return "".join(f"{line}\r\n" for line in lines).encode()
