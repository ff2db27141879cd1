"""The mailbox of an application that is being developed."""

import os
import stat
from email.message import EmailMessage
from pathlib import Path

import pytest

from quartapp.mail.delivery import Mail
from quartapp.mail.mailbox import Mailbox, kept_at, read


def mail(subject: str = "Welcome", *recipients: str) -> Mail:
    message = EmailMessage()
    message["From"] = "library@example.com"
    message["Subject"] = subject
    message.set_content("Take any book.")
    return Mail.of(message, recipients or ("susan@example.com",))


async def test_a_mail_is_kept_with_its_envelope(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path / "instance" / "mail")
    [outcome] = await mailbox.deliver([mail("Welcome", "a@example.com", "b@example.com")])

    assert outcome.is_sent
    [name] = mailbox.names()
    kept = read(mailbox.source(name) or b"")
    assert kept["Return-Path"] == "<library@example.com>"
    assert kept.get_all("Delivered-To") == ["a@example.com", "b@example.com"]
    assert (kept["Subject"], kept.get_content()) == ("Welcome", "Take any book.\n")
    assert kept_at(name) == pytest.approx((mailbox.folder / f"{name}.eml").stat().st_mtime, abs=5)


async def test_the_newest_comes_first_and_the_oldest_goes(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path, room=3)
    for number in range(5):
        await mailbox.deliver([mail(f"Welcome {number}")])

    subjects = [read(mailbox.source(name) or b"")["Subject"] for name in mailbox.names()]
    assert subjects == ["Welcome 4", "Welcome 3", "Welcome 2"]
    assert len(os.listdir(tmp_path)) == 3


async def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path / "mail")
    await mailbox.deliver([mail()])

    for path in (mailbox.folder, *mailbox.folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


async def test_a_mail_that_cannot_be_kept_stays_in_the_outbox(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("no folder")

    [outcome] = await Mailbox(tmp_path / "mail").deliver([mail()])

    assert not outcome.is_sent
    assert outcome.error.startswith("the mailbox: ")


@pytest.mark.parametrize(
    "name", ["", "..", "../secret", "1", "0" * 21, "１" * 19, "1700000000000000000\n"]
)
def test_other_files_have_no_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.eml").write_text("secret")
    (tmp_path / "mail").mkdir()

    mailbox = Mailbox(tmp_path / "mail")

    assert mailbox.source(name) is None
    assert mailbox.names() == []


async def test_an_envelope_cannot_add_lines(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    await mailbox.deliver([Mail("a@b\r\nX: 1", ("c@d\r\n\r\nbody",), b"Subject: x\r\n\r\n")])

    kept = read(mailbox.source(mailbox.names()[0]) or b"")
    assert kept.keys() == ["Return-Path", "Delivered-To", "Subject"]
