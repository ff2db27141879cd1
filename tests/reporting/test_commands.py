"""`quart --app quartapp errors ...`"""

import asyncio
import json
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import partialmethod
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.engine import make_url

from quartapp.database import Database
from quartapp.microblog.commands.errors import errors
from quartapp.microblog.config import Settings
from quartapp.microblog.migrate import migrate
from quartapp.reporting.alerts import policy
from quartapp.reporting.checks import selftest
from quartapp.reporting.tables import ErrorGroup
from quartapp.settings import ConfigurationError
from quartapp.testing import MailServer
from tests.conftest import POSTGRESQL


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    values = {
        "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'errors.db'}",
        "INSTANCE_PATH": str(tmp_path / "instance"),
        "LOG_DIR": str(tmp_path / "logs"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return values


@pytest.fixture(autouse=True)
def database(environment: dict[str, str]) -> None:
    migrate(environment["DATABASE_URL"])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(errors, arguments)


def groups() -> list[dict[str, object]]:
    result = run("list", "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def test_a_test_goes_the_whole_way_but_for_the_mail_that_is_off() -> None:
    result = run("test")
    assert result.exit_code == 0, result.output
    assert "recorded as" in result.stdout
    assert "counted in the database as group 1" in result.stdout
    assert "mails are off" in result.stdout
    [group] = groups()
    assert group["count"] == 1
    assert group["state"] == "resolved"
    assert set(group) == {
        "id", "fingerprint", "title", "count", "first_seen", "last_seen", "state",
    }  # fmt: skip


async def test_a_test_reaches_the_mail_server(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_SERVER", mail_server.host)
    monkeypatch.setenv("MAIL_PORT", str(mail_server.port))
    monkeypatch.setenv("ADMINS", "ops@example.com")
    result = await asyncio.to_thread(run, "test")
    assert result.exit_code == 0, result.output
    assert "for the operators" in result.stdout
    assert len(mail_server.mails) == 1
    assert "SelfTestError" in mail_server.mails[0].message["Subject"]
    mail_server.replies["RCPT"] = "550 no such user"
    result = await asyncio.to_thread(run, "test")
    assert result.exit_code == 1
    assert "550 no such user" in result.stderr
    assert (await asyncio.to_thread(run, "doctor")).exit_code == 1


async def test_a_test_whose_mail_waits_for_the_budget_says_so(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_SERVER", mail_server.host)
    monkeypatch.setenv("MAIL_PORT", str(mail_server.port))
    monkeypatch.setenv("ADMINS", "ops@example.com")
    monkeypatch.setattr(selftest, "_SECONDS", 0.3)
    monkeypatch.setattr(policy.Limits, "__init__", partialmethod(policy.Limits.__init__, budget=0))
    result = await asyncio.to_thread(run, "test")
    assert result.exit_code == 1
    assert "here it stopped: the mail still waits in the outbox" in result.stderr


def test_the_doctor_finds_a_fresh_site_well() -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("ok ") == 5


def test_the_doctor_finds_what_is_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "instance").write_text("a file, not a folder")
    monkeypatch.setenv("DATABASE_URL", "sqlite+aiosqlite:////proc/nowhere.db")
    monkeypatch.setenv("MAIL_SERVER", "127.0.0.1")
    monkeypatch.setenv("MAIL_PORT", "1")
    monkeypatch.setenv("ADMINS", "ops@example.com")
    result = run("doctor")
    assert result.exit_code == 1
    bad = [line.split(":")[0] for line in result.stdout.splitlines() if line.startswith("BAD")]
    assert bad == ["BAD journal", "BAD database", "BAD outbox", "BAD mail server"]


def test_the_doctor_finds_a_segment_that_nobody_can_read(tmp_path: Path) -> None:
    journal = tmp_path / "instance" / "journal"
    journal.mkdir(parents=True)
    (journal / "0.journal").symlink_to(journal / "0.journal")
    result = run("doctor")
    assert result.exit_code == 1
    assert "1 cannot be read and are not counted, 0.journal first" in result.stdout


def test_show_resolve_mute_and_prune() -> None:
    run("test")
    shown = json.loads(run("show", "1", "--json").stdout)
    assert shown["samples"][0]["exceptions"][0]["type"].endswith("SelfTestError")
    assert "SelfTestError" in run("show", "1").stdout
    assert run("mute", "1", "--times", "3").exit_code == 0
    assert groups()[0]["state"] == "muted"
    assert run("resolve", "1").exit_code == 0
    assert groups()[0]["state"] == "resolved"
    assert "SelfTestError" in run("list").stdout
    assert "0 errors were forgotten" in run("prune", "--days", "1").stdout
    missing = run("show", "99")
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
def test_a_number_that_cannot_be_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    run("test")
    result = run(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


EACH = [("list",), ("show", "1"), ("resolve", "1"), ("mute", "1"), ("prune",), ("test",)]


@pytest.mark.parametrize("arguments", EACH, ids=" ".join)
@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:///empty.db", "has no such table: run 'alembic upgrade head' first"),
        ("sqlite:////proc/nowhere/x.db", "does not answer"),
        ("sqlite:///test.txt", "cannot be used: file is not a database"),
        ("postgresql://x@127.0.0.1:1/x", "does not answer"),
    ],
    ids=["without tables", "without a folder", "no database", "refused"],
)
def test_a_database_that_is_not_there_is_one_sentence(
    arguments: tuple[str, ...],
    url: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "test.txt").write_text("a text, not a database\n" * 100)
    monkeypatch.setenv("DATABASE_URL", url)
    result = run(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), "not a traceback"
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.postgresql
def test_a_postgresql_database_that_was_never_made_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = make_url(POSTGRESQL).set(database="nosuch")
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
    result = run("list")
    assert result.exit_code == 1
    assert result.stderr == 'Error: The database cannot be used: database "nosuch" does not exist\n'
    assert 'BAD database: The database cannot be used: database "nosuch"' in run("doctor").stdout


def test_the_doctor_says_that_the_migrations_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///empty.db")
    result = run("doctor")
    assert result.exit_code == 1
    assert "BAD database: The database has no such table: run 'alembic upgrade" in result.stdout


def test_a_test_stops_at_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("a file, not a folder")
    result = run("test")
    assert result.exit_code == 1
    assert "here it stopped: the journal cannot be written" in result.stderr
    assert "recorded" not in result.stdout


def test_a_test_without_recipients_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_SERVER", "127.0.0.1")
    result = run("test")
    assert isinstance(result.exception, ConfigurationError | SystemExit)
    assert "ADMINS" in result.stderr + str(result.exception)


async def hostile(url: str) -> None:
    """A group whose title has everything that a terminal should not see."""
    database = Database(url)
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


def test_a_terminal_sees_no_controls_and_only_what_it_knows(environment: dict[str, str]) -> None:
    asyncio.run(hostile(environment["DATABASE_URL"]))
    quart = Path(sys.executable).parent / "quart"
    for arguments in (["list"], ["show", "1"]):
        result = subprocess.run(
            [str(quart), "--app", "quartapp", "errors", *arguments],
            env=environment | {"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "latin-1"},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert b"Gr\xfc\xdfe \\U0001f40d [2Jgnp.exe" in result.stdout


def into(output: str, *arguments: str, environment: dict[str, str]) -> tuple[int, bytes]:
    """The exit code of a command, and what it said on standard error."""
    quart = Path(sys.executable).parent / "quart"
    command = shlex.join([str(quart), "--app", "quartapp", "errors", *arguments])
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} {output}"],
        env=environment | {"PATH": "/usr/bin:/bin"},
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


@pytest.mark.parametrize("arguments", SAYING, ids=" ".join)
def test_a_full_disk_behind_the_output_is_one_sentence(
    arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    asyncio.run(hostile(environment["DATABASE_URL"]))
    code, said = into("> /dev/full", *arguments, environment=environment)
    assert said == b"Error: Standard output cannot be written: No space left on device.\n"
    assert code == 1


@pytest.mark.parametrize(
    "arguments", [("list",), ("test",), ("doctor",), ("--help",)], ids=" ".join
)
def test_a_reader_that_has_seen_enough_hears_nothing(
    arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    asyncio.run(hostile(environment["DATABASE_URL"]))
    code, said = into("| true", *arguments, environment=environment)
    assert said == b""
    assert code == 1


def test_the_json_is_all_there_is_on_standard_output(environment: dict[str, str]) -> None:
    quart = Path(sys.executable).parent / "quart"
    result = subprocess.run(
        [str(quart), "--app", "quartapp", "errors", "list", "--json"],
        env=environment | {"PATH": "/usr/bin:/bin", "LOG_TO_STDOUT": "true"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == []
    assert not Path(environment["LOG_DIR"]).exists()
