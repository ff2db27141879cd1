"""`quart --app quartapp errors ...`, with the settings of the environment."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from click.testing import Result

from quartapp.microblog.config import Settings
from quartapp.microblog.migrate import migrate
from quartapp.settings import ConfigurationError
from quartapp.testing import MailServer
from tests.microblog.commands.running import quart
from tests.reporting.test_commands import add_hostile_group, ended_with, written_by


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
    return quart("errors", *arguments)


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / "quart"), "--app", "quartapp", "errors", *arguments]


@pytest.mark.slow
async def test_a_test_reaches_the_mail_server(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_SERVER", mail_server.host)
    monkeypatch.setenv("MAIL_PORT", str(mail_server.port))
    monkeypatch.setenv("ADMINS", "ops@example.com")
    result = await asyncio.to_thread(run, "test")
    assert result.exit_code == 0, result.output
    assert "for the operators" in result.stdout
    assert mail_server.mails[0].message["Subject"].startswith("[microblog prod] NEW SelfTestError")


def test_the_doctor_finds_a_fresh_site_well() -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    found = [line.partition(":")[0] for line in result.stdout.splitlines()]
    parts = ["settings", "server", "journal", "disk", "database", "counting", "outbox"]
    assert found == [f"ok  {part}" for part in [*parts, "mail server", "webhook"]]


def test_the_doctor_finds_dangerous_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_HOPS", "1")
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.startswith("BAD settings: PROXY_HOPS is set and TRUSTED_HOSTS is not")
    monkeypatch.setenv("TRUSTED_HOSTS", "example.com")
    assert run("doctor").exit_code == 0


def test_a_test_without_recipients_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_SERVER", "127.0.0.1")
    result = run("test")
    assert isinstance(result.exception, ConfigurationError | SystemExit)
    assert "ADMINS" in result.stderr + str(result.exception)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("list",), ("show", "1")], ids=" ".join)
def test_a_terminal_sees_no_controls_and_only_what_it_knows(
    environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    asyncio.run(add_hostile_group(environment["DATABASE_URL"]))
    written = written_by(command(*arguments), PYTHONIOENCODING="latin-1")
    assert b"Gr\xfc\xdfe \\U0001f40d [2Jgnp.exe" in written


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("list",), ("test",), ("--help",)], ids=" ".join)
def test_a_full_disk_behind_the_output_is_one_sentence(
    environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    asyncio.run(add_hostile_group(environment["DATABASE_URL"]))
    code, said = ended_with(command(*arguments), "> /dev/full")
    assert said == b"Error: Standard output cannot be written: No space left on device.\n"
    assert code == 1


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("list", "--json"), ("--help",)], ids=" ".join)
def test_a_reader_that_has_seen_enough_hears_nothing(arguments: tuple[str, ...]) -> None:
    code, said = ended_with(command(*arguments), "| true")
    assert said == b""
    assert code == 1


@pytest.mark.slow
def test_the_json_is_all_there_is_on_standard_output(environment: dict[str, str]) -> None:
    written = written_by(command("list", "--json"), LOG_TO_STDOUT="true")
    assert json.loads(written) == []
    assert not Path(environment["LOG_DIR"]).exists()
