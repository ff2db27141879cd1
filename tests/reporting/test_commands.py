"""The commands about the errors of an application."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import partialmethod
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result
from quart.cli import ScriptInfo
from sqlalchemy.engine import make_url

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.reporting.alerts import policy
from quartapp.reporting.checks import selftest
from quartapp.reporting.commands import errors
from quartapp.reporting.journal.losses import add_losses
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.tables import ErrorGroup, metadata
from quartapp.settings import ConfigurationError
from quartapp.testing import MailServer
from tests.conftest import POSTGRESQL
from tests.shop.app import create_app

ROOT = Path(__file__).parents[2]


class Shop:
    """A shop with an empty database, and the commands about its errors.

    `config` and `database_url` may be changed before `run`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database_url = f"sqlite:///{folder / 'shop.db'}"
        self.config: dict[str, Any] = {}

    def create_app(self) -> App:
        return create_app(self.folder, self.database_url, **self.config)

    def open_pipeline(self) -> Pipeline:
        return cast(Pipeline, self.create_app().extensions["reporting"])

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(errors, arguments, obj=ScriptInfo(create_app=self.create_app))

    def groups(self) -> list[dict[str, object]]:
        result = self.run("list", "--json")
        assert result.exit_code == 0, result.output
        found: list[dict[str, object]] = json.loads(result.stdout)
        return found

    def command(self, *arguments: str) -> list[str]:
        """The same as `run`, for a process."""
        start = [sys.executable, "-m", "tests.shop.commands", str(self.folder), self.database_url]
        return [*start, *arguments]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)

    async def prepare() -> None:
        database = DatabaseEngine(made.database_url)
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await database.dispose()

    asyncio.run(prepare())
    return made


@pytest.fixture
def mailing_shop(shop: Shop, mail_server: MailServer) -> Shop:
    server = {"MAIL_SERVER": mail_server.host, "MAIL_PORT": mail_server.port}
    shop.config = server | {"ADMINS": "ops@example.com"}
    return shop


def test_a_test_goes_the_whole_way_but_for_the_mail_that_is_off(shop: Shop) -> None:
    result = shop.run("test")
    assert result.exit_code == 0, result.output
    assert "recorded as" in result.stdout
    assert "counted in the database as group 1" in result.stdout
    assert "mails are off" in result.stdout
    [group] = shop.groups()
    assert group["count"] == 1
    assert group["state"] == "resolved"
    assert set(group) == {
        "id", "fingerprint", "title", "count", "first_seen", "last_seen", "state",
    }  # fmt: skip


@pytest.mark.slow
async def test_a_test_reaches_the_mail_server_without_the_delay_of_other_mails(
    mailing_shop: Shop, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "_SECONDS", policy.Limits().initial_delay / 2)
    result = await asyncio.to_thread(mailing_shop.run, "test")
    assert result.exit_code == 0, result.output
    assert "for the operators" in result.stdout
    assert len(mail_server.mails) == 1
    assert "SelfTestError" in mail_server.mails[0].message["Subject"]
    mail_server.replies["RCPT"] = "550 no such user"
    result = await asyncio.to_thread(mailing_shop.run, "test")
    assert result.exit_code == 1
    assert "550 no such user" in result.stderr
    assert (await asyncio.to_thread(mailing_shop.run, "doctor")).exit_code == 1


@pytest.mark.slow
async def test_a_test_whose_mail_waits_for_the_budget_says_so(
    mailing_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "_SECONDS", 0.3)
    monkeypatch.setattr(policy.Limits, "__init__", partialmethod(policy.Limits.__init__, budget=0))
    result = await asyncio.to_thread(mailing_shop.run, "test")
    assert result.exit_code == 1
    assert "it stopped here: the mail still waits in the outbox" in result.stderr


def test_the_doctor_finds_a_fresh_site_well(shop: Shop) -> None:
    result = shop.run("doctor")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("ok ") == 9


def test_the_doctor_finds_what_is_broken(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("a file, not a folder")
    shop.database_url = "sqlite:////proc/nowhere.db"
    shop.config = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": 1, "ADMINS": "ops@example.com"}
    result = shop.run("doctor")
    assert result.exit_code == 1
    bad = [line.split(":")[0] for line in result.stdout.splitlines() if line.startswith("BAD")]
    parts = ["journal", "database", "counting", "outbox", "mail server"]
    assert bad == [f"BAD {part}" for part in parts]


def test_says_which_errors_were_lost(shop: Shop, tmp_path: Path) -> None:
    journal = tmp_path / "instance" / "journal"
    journal.mkdir(parents=True)
    assert add_losses(journal, 1234, 1200, 1_900_000_000.0)
    lost = "the details of 1,234 errors were lost, the last at 2030-03-17 17:46:40 UTC"
    assert f"{lost}; 34 of them are not counted" in shop.run("doctor").stdout
    listed = shop.run("list", "--json")
    assert json.loads(listed.stdout) == []
    assert listed.stderr == f"On this machine, {lost}; 34 of them are not counted.\n"
    assert add_losses(journal, 0, 34, 1_900_000_001.0)
    assert f"{lost}\n" in shop.run("doctor").stdout


def test_the_doctor_finds_a_segment_that_nobody_can_read(shop: Shop, tmp_path: Path) -> None:
    journal = tmp_path / "instance" / "journal"
    journal.mkdir(parents=True)
    (journal / "0.journal").symlink_to(journal / "0.journal")
    result = shop.run("doctor")
    assert result.exit_code == 1
    assert "1 cannot be read and are not counted, 0.journal first" in result.stdout


def test_demo_fills_an_empty_database_and_no_other(shop: Shop) -> None:
    filled = shop.run("demo", "--groups", "3", "--occurrences", "20")
    assert filled.exit_code == 0, filled.output
    assert filled.stdout.startswith("3 groups\n")
    assert sum(int(str(group["count"])) for group in shop.groups()) == 20
    again = shop.run("demo", "--groups", "3", "--occurrences", "20")
    assert again.exit_code == 1
    assert "has errors already" in again.stderr


def test_a_release_is_noted_once(shop: Shop) -> None:
    assert "No release is known" in shop.run("release").stdout
    first = shop.run("release", "v1.2", "--at", "2026-11-28T21:00+01:00")
    assert first.stdout == "v1.2 was deployed at 2026-11-28 20:00:00 UTC.\n"
    assert shop.run("release", "v1.2").stdout == first.stdout  # it keeps its time
    again = shop.run("release", "v1.2", "--at", "2026-11-28T22:00:00")
    assert again.stdout == "v1.2 was deployed at 2026-11-28 22:00:00 UTC.\n"
    assert shop.run("release", "v1.3").exit_code == 0
    listed = shop.run("release").stdout.splitlines()
    assert [line.split("  ")[1] for line in listed] == ["v1.3", "v1.2"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("release", "v1", "--at", "tomorrow"), "expected a time"),
        (("release", "v1", "--at", "9" * 400), "expected a time"),
        (("release", ""), "expected the name of a release"),
        (("release", "v1\x1b[2J"), "expected the name of a release"),
        (("release", "v" * 201), "at most 200 characters"),
        (("release", "--at", "2026-11-28"), "--at needs the NAME"),
    ],
)
def test_what_is_no_release_is_refused(
    shop: Shop, arguments: tuple[str, ...], sentence: str
) -> None:
    result = shop.run(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


@pytest.mark.slow
def test_show_resolve_mute_and_prune(shop: Shop) -> None:
    shop.run("test")
    shown = json.loads(shop.run("show", "1", "--json").stdout)
    assert shown["samples"][0]["exceptions"][0]["type"].endswith("SelfTestError")
    assert "SelfTestError" in shop.run("show", "1").stdout
    assert shop.run("mute", "1", "--times", "3").exit_code == 0
    assert shop.groups()[0]["state"] == "muted"
    assert shop.run("resolve", "1").exit_code == 0
    assert shop.groups()[0]["state"] == "resolved"
    assert "SelfTestError" in shop.run("list").stdout
    assert "0 errors were deleted" in shop.run("prune", "--days", "1").stdout
    missing = shop.run("show", "99")
    assert missing.exit_code == 1
    assert "There is no such error." in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "9" * 20), "not in the range"),
        (("show", "0"), "not in the range"),
        (("resolve", "9" * 20), "not in the range"),
        (("mute", "1", "--hours", "nan"), "expected a number"),
        (("mute", "1", "--hours", "-1"), "not in the range"),
        (("mute", "1", "--times", "-3"), "not in the range"),
        (("mute", "1", "--times", "99999999999"), "not in the range"),
        (("prune", "--days", "99999999"), "not in the range"),
    ],
)
def test_a_number_that_cannot_be_is_one_sentence(
    shop: Shop, arguments: tuple[str, ...], sentence: str
) -> None:
    shop.run("test")
    result = shop.run(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


EACH = [("list",), ("show", "1"), ("resolve", "1"), ("mute", "1"), ("prune",), ("test",)]


@pytest.mark.parametrize("arguments", EACH, ids=" ".join)
@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:///empty.db", "has no such table: run 'quartapp db upgrade' first"),
        ("sqlite:////proc/nowhere/x.db", "cannot be used: unable to open database file"),
        ("sqlite:///../test.txt", "cannot be used: file is not a database"),
        ("postgresql://x@127.0.0.1:1/x", "does not answer"),
    ],
    ids=["without tables", "without a folder", "no database", "refused"],
)
def test_a_database_that_is_not_there_is_one_sentence(
    shop: Shop,
    arguments: tuple[str, ...],
    url: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "test.txt").write_text("a text, not a database\n" * 100)
    monkeypatch.chdir(tmp_path)
    shop.database_url = url
    result = shop.run(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), "not a traceback"
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.postgresql
def test_a_postgresql_database_that_was_never_made_is_one_sentence(shop: Shop) -> None:
    url = make_url(POSTGRESQL).set(database="nosuch")
    shop.database_url = url.render_as_string(hide_password=False)
    result = shop.run("list")
    assert result.exit_code == 1
    assert result.stderr == 'Error: The database cannot be used: database "nosuch" does not exist\n'
    assert (
        'BAD database: The database cannot be used: database "nosuch"' in shop.run("doctor").stdout
    )


def test_the_doctor_says_that_the_migrations_are_missing(shop: Shop, tmp_path: Path) -> None:
    shop.database_url = f"sqlite:///{tmp_path / 'empty.db'}"
    result = shop.run("doctor")
    assert result.exit_code == 1
    assert "BAD database: The database has no such table: run 'quartapp db upgrade" in result.stdout


def test_a_test_stops_at_a_journal_that_cannot_be_written(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("a file, not a folder")
    result = shop.run("test")
    assert result.exit_code == 1
    assert "it stopped here: the journal cannot be written" in result.stderr
    assert "recorded" not in result.stdout


def test_a_test_without_recipients_names_the_setting(shop: Shop) -> None:
    shop.config = {"MAIL_SERVER": "127.0.0.1"}
    result = shop.run("test")
    assert isinstance(result.exception, ConfigurationError | SystemExit)
    assert "ADMINS" in result.stderr + str(result.exception)


async def add_hostile_group(url: str) -> None:
    """A group whose title has everything that must not be sent to a terminal."""
    database = DatabaseEngine(url)
    now = datetime.now(UTC)
    async with database.session() as session:
        title = "Grüße \N{SNAKE} \x1b[2J\u202egnp.exe"
        session.add(
            ErrorGroup(
                fingerprint="a", title=title, culprit=title, count=1, first_seen=now, last_seen=now
            )
        )
        await session.commit()
    await database.dispose()


def written_by(command: list[str], **environment: str) -> bytes:
    """The standard output of a command that succeeds."""
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("list",), ("show", "1")], ids=" ".join)
def test_a_terminal_sees_no_controls_and_only_what_it_knows(
    shop: Shop, arguments: tuple[str, ...]
) -> None:
    asyncio.run(add_hostile_group(shop.database_url))
    written = written_by(shop.command(*arguments), PYTHONIOENCODING="latin-1")
    assert b"Gr\xfc\xdfe \\U0001f40d [2Jgnp.exe" in written


def ended_with(command: list[str], output: str) -> tuple[int, bytes]:
    """Run a command with this standard output; returns its exit code and its standard error."""
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shlex.join(command)} {output}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stderr


SAYING = [
    *(("list",), ("list", "--json"), ("show", "1"), ("show", "1", "--json"), ("resolve", "1")),
    *(("mute", "1"), ("prune",), ("test",), ("doctor",), ("--help",), ("list", "--help")),
]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", SAYING, ids=" ".join)
def test_a_full_disk_behind_the_output_is_one_sentence(
    shop: Shop, arguments: tuple[str, ...]
) -> None:
    asyncio.run(add_hostile_group(shop.database_url))
    code, said = ended_with(shop.command(*arguments), "> /dev/full")
    assert said == b"Error: Standard output cannot be written: No space left on device.\n"
    assert code == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("list",), ("test",), ("doctor",), ("--help",)], ids=" ".join
)
def test_a_reader_that_has_seen_enough_hears_nothing(
    shop: Shop, arguments: tuple[str, ...]
) -> None:
    asyncio.run(add_hostile_group(shop.database_url))
    code, said = ended_with(shop.command(*arguments), "| true")
    assert said == b""
    assert code == 1
