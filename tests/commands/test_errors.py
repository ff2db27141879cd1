"""`quart --app quartapp errors ...`"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quartapp.commands.errors import errors
from quartapp.config import Settings
from quartapp.serving import migrate
from quartapp.testing import MailServer


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
    assert "TrialError" in mail_server.mails[0].message["Subject"]
    mail_server.replies["RCPT"] = "550 no such user"
    result = await asyncio.to_thread(run, "test")
    assert result.exit_code == 1
    assert "550 no such user" in result.stderr
    assert (await asyncio.to_thread(run, "doctor")).exit_code == 1


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
    assert bad == ["BAD journal", "BAD disk", "BAD database", "BAD outbox", "BAD mail server"]


def test_show_resolve_mute_and_prune() -> None:
    run("test")
    shown = json.loads(run("show", "1", "--json").stdout)
    assert shown["samples"][0]["exceptions"][0]["type"].endswith("TrialError")
    assert "TrialError" in run("show", "1").stdout
    assert run("mute", "1", "--times", "3").exit_code == 0
    assert groups()[0]["state"] == "muted"
    assert run("resolve", "1").exit_code == 0
    assert groups()[0]["state"] == "resolved"
    assert "TrialError" in run("list").stdout
    assert "0 errors were forgotten" in run("prune", "--days", "1").stdout
    missing = run("show", "99")
    assert missing.exit_code == 1
    assert "There is no such error." in missing.stderr


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
