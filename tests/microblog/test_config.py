"""The settings: where values come from, which are rejected, and what the error says."""

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from quartapp import create_app
from quartapp.microblog.config import (
    SECRET_KEY_COMMAND,
    LocalSettings,
    Settings,
    ToolSettings,
    load_settings,
)
from quartapp.redact.config import config_secrets
from quartapp.settings import ConfigurationError
from quartapp.sockets import is_loopback

STRONG = "0123456789abcdef" * 2
EXAMPLE = Path(__file__).parents[2] / ".env.example"
UPDATE = EXAMPLE.with_name("docs") / "update.md"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the machine's environment variables and the developer's .env."""
    for name in [*Settings.model_fields, "mail_admins", "quart_debug", "flask_debug"]:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def refusal(kind: type[Settings] = Settings, **values: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(kind, **values)
    return str(caught.value)


def test_reads_the_environment_and_counts_empty_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", STRONG)
    monkeypatch.setenv("POSTS_PER_PAGE", "7")
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("MAIL_USE_TLS", "")
    settings = load_settings()
    assert (settings.posts_per_page, settings.port, settings.mail_use_tls) == (7, 5000, False)


def test_reads_a_dotenv_file_and_ignores_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"SECRET_KEY={STRONG}\nPORT=8123\nELASTIC=x\n", "utf-8")
    assert load_settings().port == 8123


def test_the_environment_goes_before_the_dotenv_file_unless_it_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"SECRET_KEY={STRONG}\nPORT=8123\nWORKERS=4\n", "utf-8")
    monkeypatch.setenv("Port", "9000")
    monkeypatch.setenv("WORKERS", "")
    settings = load_settings(posts_per_page=3)
    assert (settings.port, settings.workers, settings.posts_per_page) == (9000, 4, 3)


def test_a_dotenv_file_that_is_not_utf_8_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("RELEASE=Größe".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"^\.env: expected UTF-8, .* position 10$"):
        load_settings(secret_key=STRONG)


def test_a_relative_database_is_in_the_working_directory() -> None:
    """As always, also for the application, whose part for databases would look elsewhere."""
    app = create_app(Settings(environment="testing", database_url="sqlite:///own.db"))
    assert app.extensions["database"].url.database == str(Path.cwd() / "own.db")
    assert Path.cwd() != Path(app.instance_path)


def test_a_numeric_secret_key_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "1234567890" * 4
    monkeypatch.setenv("SECRET_KEY", key)
    assert create_app(load_settings()).config["SECRET_KEY"] == key


@pytest.mark.parametrize("value", ["", None])
def test_production_needs_a_secret_key(value: str | None) -> None:
    text = refusal() if value is None else refusal(secret_key=value)
    assert "SECRET_KEY" in text
    assert SECRET_KEY_COMMAND in text


@pytest.mark.parametrize(
    "weak",
    [
        "short",
        STRONG[:31],
        "a" * 64,
        "123456789" * 8,
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "development-only-not-a-secret-0123456789",
    ],
)
def test_production_refuses_a_weak_secret_key(weak: str) -> None:
    text = refusal(secret_key=weak)
    assert "SECRET_KEY: is weak" in text
    assert SECRET_KEY_COMMAND in text
    assert weak not in text


OLDER = "89ab" * 8 + "another key of before"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (f"{OLDER},", "has an empty key"),
        (f"{OLDER}, ,{OLDER}x", "has an empty key"),
        (f"{OLDER},{STRONG}", "repeats SECRET_KEY"),
        (f"{OLDER},{OLDER}x,{OLDER}", "has the same key twice"),
        (f"{OLDER},short", "has a weak key"),
        ("you-will-never-guess", "has a weak key"),
    ],
)
def test_a_fault_of_the_older_keys_is_clear(
    value: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", value)
    text = refusal(secret_key=STRONG)
    assert f"SECRET_KEY_FALLBACKS: {fault}" in text
    assert OLDER not in text


def test_older_keys_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", f"{OLDER}, {OLDER}x")
    app = create_app(load_settings(secret_key=STRONG))
    assert app.config["SECRET_KEY_FALLBACKS"] == [OLDER, f"{OLDER}x"]
    assert {STRONG, OLDER, f"{OLDER}x"} <= set(config_secrets(app.config))


def test_development_takes_any_older_key() -> None:
    settings = load_settings(environment="development", secret_key_fallbacks="short")
    assert settings.secret_key_fallbacks == ("short",)


@pytest.mark.parametrize("environment", ["development", "testing"])
def test_other_environments_have_a_key_of_their_own(environment: str) -> None:
    assert load_settings(environment=environment).secret_key


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "abc", "a valid integer"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("DEBUG", "perhaps", "a valid boolean"),
        ("ENVIRONMENT", "staging", "'production', 'development' or 'testing'"),
        ("DATABASE_URL", "nonsense", "sqlite:///"),
        ("DATABASE_URL", "mysql://x/y", "SQLite or PostgreSQL"),
        ("ADMINS", "not an address", "mail addresses"),
    ],
)
def test_a_bad_value_names_the_variable_and_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv("SECRET_KEY", STRONG)
    monkeypatch.setenv(name, value)
    text = refusal()
    assert text.startswith(f"{name}: ")
    assert expected in text
    assert "Traceback" not in text


def test_all_faults_are_told_at_once() -> None:
    assert [line.partition(":")[0] for line in refusal(port="x", workers="y").splitlines()] == [
        "PORT",
        "WORKERS",
        "SECRET_KEY",
    ]


def test_a_wrong_value_is_not_repeated() -> None:
    assert "hunter2" not in refusal(secret_key=STRONG, port="hunter2")


@pytest.mark.parametrize("name", ["ADMINS", "MAIL_ADMINS"])
def test_admins_are_split_at_commas(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "a@example.com, b@example.com,")
    settings = load_settings(secret_key=STRONG, mail_server="mail")
    assert settings.admins == ("a@example.com", "b@example.com")


@pytest.mark.parametrize("name", ["ADMINS", "MAIL_ADMINS"])
@pytest.mark.parametrize("in_file", ["ADMINS", "MAIL_ADMINS"])
def test_the_environment_names_the_admins_before_the_file(
    monkeypatch: pytest.MonkeyPatch, name: str, in_file: str
) -> None:
    Path(".env").write_text(f"{in_file}=file@example.com\n", encoding="utf-8")
    monkeypatch.setenv(name, "environment@example.com")
    settings = load_settings(secret_key=STRONG, mail_server="mail")
    assert settings.admins == ("environment@example.com",)


def test_a_mail_server_needs_somebody_to_write_to() -> None:
    assert "ADMINS" in refusal(secret_key=STRONG, mail_server="mail.example.com")


@pytest.mark.parametrize(("value", "on"), [("0", False), ("false", False), ("1", True)])
def test_mail_use_tls_is_a_boolean(monkeypatch: pytest.MonkeyPatch, value: str, on: bool) -> None:
    monkeypatch.setenv("MAIL_USE_TLS", value)
    assert load_settings(secret_key=STRONG).mail_use_tls is on


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u@h/d?sslmode=require", "postgresql+asyncpg://u@h/d?ssl=require"),
        ("sqlite:///x.db", "sqlite+aiosqlite:///x.db"),
    ],
)
def test_database_addresses_name_their_async_driver(given: str, used: str) -> None:
    assert load_settings(secret_key=STRONG, database_url=given).database_url == used


def test_the_default_database_lies_in_the_instance_path(tmp_path: Path) -> None:
    url = load_settings(secret_key=STRONG).database_url
    assert url == f"sqlite+aiosqlite:///{tmp_path}/instance/quartapp.db"


def test_cookies_are_secure_in_production_only() -> None:
    assert load_settings(secret_key=STRONG).cookie_secure is True
    assert load_settings(environment="development").cookie_secure is False
    assert load_settings(secret_key=STRONG, cookie_secure=False).cookie_secure is False


def test_local_settings_make_a_key_once_for_their_owner_only(tmp_path: Path) -> None:
    first = load_settings(LocalSettings)
    second = load_settings(LocalSettings)
    kept = tmp_path / "instance" / "secret_key"
    assert first.secret_key == second.secret_key == kept.read_text().strip()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert (first.environment, first.debug, first.cookie_secure) == ("production", False, False)


def test_further_lines_of_the_kept_key_are_older_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = load_settings(LocalSettings).secret_key
    (tmp_path / "instance" / "secret_key").write_text(f"{STRONG}\n{old}\n")
    settings = load_settings(LocalSettings)
    assert (settings.secret_key, settings.secret_key_fallbacks) == (STRONG, (old,))
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", OLDER)
    assert load_settings(LocalSettings).secret_key_fallbacks == (OLDER,)


@pytest.mark.slow
def test_the_recipe_for_the_kept_key_keeps_the_older_one(tmp_path: Path) -> None:
    [recipe] = re.findall(r"```sh\n(cd instance\n.*?)```", UPDATE.read_text("utf-8"), re.DOTALL)
    old = load_settings(LocalSettings).secret_key
    subprocess.run(["sh", "-e"], input=recipe, text=True, cwd=tmp_path, check=True)
    settings = load_settings(LocalSettings)
    assert settings.secret_key_fallbacks == (old,)
    kept = tmp_path / "instance" / "secret_key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_an_empty_kept_key_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "secret_key").touch()
    with pytest.raises(ConfigurationError, match="SECRET_KEY: is required"):
        load_settings(LocalSettings)


def test_local_settings_keep_secure_cookies_on_other_addresses() -> None:
    assert load_settings(LocalSettings, host="0.0.0.0").cookie_secure is True


def test_a_key_of_ones_own_wins_over_the_kept_one(tmp_path: Path) -> None:
    assert load_settings(LocalSettings, secret_key=STRONG).secret_key == STRONG
    assert not (tmp_path / "instance").exists()


def test_commands_need_no_key(tmp_path: Path) -> None:
    assert load_settings(ToolSettings).secret_key != load_settings(ToolSettings).secret_key
    assert not (tmp_path / "instance").exists()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("example.com", False),
    ],
)
def test_knows_a_loopback_address(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_configuration_holds_plain_values() -> None:
    settings = Settings(
        secret_key=STRONG,
        mail_server="m",
        mail_password=SecretStr("p"),
        admins=("a@example.com",),
    )
    config = create_app(settings).config
    assert {name.upper() for name in Settings.model_fields} <= set(config)
    assert (config["MAIL_PASSWORD"], config["ADMINS"]) == ("p", ["a@example.com"])
    assert type(config["LOG_DIR"]) is str


@pytest.mark.slow
@pytest.mark.parametrize("name", ["QUART_DEBUG", "FLASK_DEBUG"])
def test_debug_wins_over_quarts_and_flasks(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    app = create_app(load_settings(secret_key=STRONG))
    app.debug = True  # what `quart` does after it has loaded an application
    assert app.debug is False
    assert create_app(load_settings(secret_key=STRONG, debug=True)).debug is True


def test_the_example_file_names_every_setting() -> None:
    named = re.findall(r"^([A-Z_]+)=", EXAMPLE.read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_the_example_file_holds_the_defaults(tmp_path: Path) -> None:
    values = dict(re.findall(r"^([A-Z_]+)=(.+)$", EXAMPLE.read_text("utf-8"), re.MULTILINE))
    (tmp_path / ".env").write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    assert load_settings(secret_key=STRONG) == Settings(secret_key=STRONG)
    assert "SECRET_KEY" not in values


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "http://127.0.0.1:5000"),
        ({"host": "::1", "port": 8000}, "http://[::1]:8000"),
        ({"proxy_hops": 1}, ""),
        ({"host": "0.0.0.0"}, ""),
        ({"public_url": "https://blog.example/"}, "https://blog.example"),
        ({"public_url": "https://example.com/blog"}, "https://example.com/blog"),
    ],
)
def test_mails_link_to_the_public_address(values: dict[str, Any], expected: str) -> None:
    assert load_settings(secret_key=STRONG, **values).public_url == expected


@pytest.mark.parametrize(
    "value",
    ["blog.example", "ftp://blog.example", "https://", "https://susan@blog.example",
     "https://blog.example/?a=b", "https://blog.example/#top", "https://blog.example/\r\nBcc: x"],
)  # fmt: skip
def test_a_public_address_that_is_none_is_refused(value: str) -> None:
    text = refusal(secret_key=STRONG, public_url=value)
    assert text.startswith("PUBLIC_URL: expected the address of this site")


def test_people_are_asked_to_confirm_their_address_where_they_get_mails() -> None:
    mails: dict[str, Any] = {"mail_server": "mail.example", "admins": "a@b.example"}
    mails["secret_key"] = STRONG
    assert load_settings(secret_key=STRONG).email_confirmation == "off"
    assert load_settings(**mails).email_confirmation == "soft"
    assert load_settings(**mails, proxy_hops=1).email_confirmation == "off"
    assert load_settings(**mails, email_confirmation="off").email_confirmation == "off"
    text = refusal(secret_key=STRONG, email_confirmation="required")
    assert "needs MAIL_SERVER and PUBLIC_URL" in text
