"""The settings of parts, read from an application's config."""

import importlib
import os
import pkgutil
from pathlib import Path

import click
import pytest
from pydantic import Field, SecretStr, ValidationError

import quartapp
from quartapp.database.settings import DatabaseSettings
from quartapp.errors.settings import AdmissionSettings, ErrorPagesSettings
from quartapp.flasklike import App
from quartapp.logfile.settings import LogSettings
from quartapp.mail.settings import MailSettings
from quartapp.metrics.settings import MetricsSettings
from quartapp.reporting.settings import ReportingSettings
from quartapp.serving.settings import ServingSettings
from quartapp.settings import ConfigurationError, PartSettings, misspellings
from quartapp.throttling.settings import ThrottlingSettings

CANARY = "hunter2-canary"


class ShopSettings(PartSettings):
    shop_name: str = "shop"
    shop_seats: int = Field(default=3, ge=1, le=9)
    shop_open: bool = False
    shop_key: SecretStr | None = None


def refusal(kind: type[PartSettings], **config: object) -> list[str]:
    """The lines of the error for a wrong config."""
    with pytest.raises(ConfigurationError) as caught:
        kind.from_config(config)
    return str(caught.value).split("\n")


def test_a_field_is_the_key_of_its_name_in_capitals() -> None:
    app = App(__name__)
    app.config.update(SHOP_SEATS=5, SHOP_KEY=CANARY)
    settings = ShopSettings.from_config(app.config)
    assert (settings.shop_name, settings.shop_seats, settings.shop_open) == ("shop", 5, False)
    assert settings.shop_key is not None
    assert settings.shop_key.get_secret_value() == CANARY


def test_texts_as_an_environment_has_them_are_converted() -> None:
    settings = ShopSettings.from_config({"SHOP_SEATS": "7", "SHOP_OPEN": "true"})
    assert (settings.shop_seats, settings.shop_open) == (7, True)


def test_other_keys_are_ignored() -> None:
    config = {"SHOP_TABLES": 5, "shop_seats": 5, "Shop_Seats": 5, "SECRET_KEY": CANARY}
    assert ShopSettings.from_config(config) == ShopSettings()


def test_what_is_not_set_in_the_environment_has_the_default() -> None:
    config = {"SHOP_NAME": os.environ.get("SHOP_NAME"), "SHOP_SEATS": "", "SHOP_OPEN": None}
    assert ShopSettings.from_config(config) == ShopSettings()


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("MAIL_SEVER", "MAIL_SERVER"),
        ("MAIL_USE_TSL", "MAIL_USE_TLS"),
        ("MAIL_PASWORD", "MAIL_PASSWORD"),
        ("MAIL_FORM", "MAIL_FROM"),
        ("ADMIN", "ADMINS"),
        ("ERROR_FSYNC", "ERRORS_FSYNC"),
    ],
)
def test_a_key_like_a_known_one_is_a_fault(wrong: str, right: str) -> None:
    assert refusal(ReportingSettings, **{wrong: CANARY}) == [
        f"{wrong}: is unknown; did you mean {right}?"
    ]


def test_a_misspelling_is_named_with_the_other_faults() -> None:
    lines = refusal(ReportingSettings, MAIL_SERVER="mail.example", ADMIN="ops@example.com")
    assert [line.partition(":")[0] for line in lines] == ["ADMIN", "ADMINS"]


def test_a_key_like_one_that_is_set_belongs_to_somebody_else() -> None:
    config = {"ADMIN": "susan", "ADMINS": ["ops@example.com"]}
    assert ReportingSettings.from_config(config).admins == ("ops@example.com",)


@pytest.mark.parametrize(
    "key", ["MAIL_FROM", "MAIL_USERNAME", "MAIL_SUBJECT_PREFIX", "ENVIRONMENT", "INBOX_URL"]
)
@pytest.mark.parametrize("text", ["shop\r\nBcc: {}", "{}\n", "a\x00{}", "a\u2028{}"])
def test_what_becomes_a_header_field_is_one_line(key: str, text: str) -> None:
    assert refusal(ReportingSettings, **{key: text.format(CANARY)}) == [
        f"{key}: expected one line, without control characters"
    ]


def test_a_sender_and_a_prefix_may_be_in_any_language() -> None:
    texts = {"MAIL_FROM": "Käse <a@shop.example>", "MAIL_SUBJECT_PREFIX": "[店 👩\u200d🍳] "}
    settings = ReportingSettings.from_config(texts)
    assert (settings.mail_from, settings.mail_subject_prefix) == tuple(texts.values())


OTHERS = """
ADMIN_EMAIL CACHE_TYPE DATABASE_ECHO ERROR_404_HELP ERROR_INCLUDE_MESSAGE LANGUAGES LOG_FILE
LOG_LEVEL MAIL_ASCII_ATTACHMENTS MAIL_BACKEND MAIL_DEBUG MAIL_DEFAULT_CHARSET MAIL_DEFAULT_SENDER
MAIL_FROM_NAME MAIL_MAX_EMAILS MAIL_SSL_TLS MAIL_STARTTLS MAIL_SUPPRESS_SEND MAIL_TIMEOUT
QUART_AUTH_MODE REDIS_HOST SENTRY_ENVIRONMENT SENTRY_RELEASE SQLALCHEMY_DATABASE_URI SQLALCHEMY_ECHO
SQLALCHEMY_ENGINE_OPTIONS
"""
"""Keys of other extensions and of applications."""


def test_no_key_of_quart_or_of_another_extension_is_taken_for_a_misspelling() -> None:
    keys = [*App(__name__).config, *OTHERS.split()]
    for kind in part_settings():
        assert misspellings(keys, kind.keys()) == []


def test_no_key_of_one_part_is_taken_for_a_misspelling_of_another() -> None:
    keys = {key for kind in part_settings() for key in kind.keys()}  # noqa: SIM118 no mapping
    for kind in part_settings():
        for key in keys:
            assert misspellings([key], kind.keys()) == []


def test_a_config_may_come_from_anywhere() -> None:
    """As `from_prefixed_env` decodes it, as a class has it, and as texts of the environment."""
    decoded = {"ADMINS": ["a@example.com"], "MAIL_USE_TLS": 1, "MAIL_PASSWORD": 12345678}
    texts = {"ADMINS": "a@example.com, ", "MAIL_USE_TLS": "1", "MAIL_PASSWORD": "12345678"}
    a_class = {"ADMINS": ("a@example.com",), "MAIL_USE_TLS": True, "MAIL_PASSWORD": "12345678"}
    made = [ReportingSettings.from_config(each) for each in (decoded, texts, a_class)]
    assert made == [made[0]] * 3
    assert made[0].smtp_server() is None, "MAIL_SERVER is not set"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("SHOP_SEATS", CANARY, "expected a valid integer, unable to parse string as an integer"),
        ("SHOP_SEATS", 10, "expected less than or equal to 9"),
        ("SHOP_SEATS", [CANARY], "expected a valid integer"),
        ("SHOP_OPEN", CANARY, "expected a valid boolean, unable to interpret input"),
        ("SHOP_NAME", 7.5, "expected a valid string"),
        ("SHOP_KEY", 7, "expected a valid string"),
    ],
)
def test_a_wrong_value_names_its_key_and_what_was_expected(
    key: str, value: object, expected: str
) -> None:
    assert refusal(ShopSettings, **{key: value}) == [f"{key}: {expected}"]


def test_every_fault_has_a_line_and_no_value_is_repeated() -> None:
    lines = refusal(ShopSettings, SHOP_NAME=7, SHOP_SEATS=CANARY, SHOP_OPEN=CANARY)
    assert [line.partition(":")[0] for line in lines] == ["SHOP_NAME", "SHOP_SEATS", "SHOP_OPEN"]
    assert CANARY not in "".join(lines)


def test_the_error_is_a_sentence_at_the_terminal_and_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command()
    def serve() -> None:
        ShopSettings.from_config({"SHOP_SEATS": CANARY})

    with pytest.raises(SystemExit) as caught:
        serve([])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: SHOP_SEATS: expected a valid integer")
    assert CANARY not in said


def test_settings_do_not_change_and_do_not_show_secrets() -> None:
    settings = ShopSettings.from_config({"SHOP_KEY": CANARY})
    with pytest.raises(ValidationError, match="frozen"):
        settings.shop_seats = 5
    assert CANARY not in repr(settings) + str(settings)


def test_every_part_can_do_without_any_setting() -> None:
    """Each key of a part has a default; the listed classes are complete."""
    named = {DatabaseSettings, AdmissionSettings, LogSettings, MailSettings, ReportingSettings}
    classes = part_settings()
    named |= {ErrorPagesSettings, MetricsSettings, ServingSettings, ThrottlingSettings}
    assert classes == named
    for kind in classes:
        assert kind.from_config({}) == kind()


def part_settings() -> set[type[PartSettings]]:
    """The settings class of each part that has one."""
    found: set[type[PartSettings]] = set()
    for part in pkgutil.iter_modules(quartapp.__path__):
        if part.ispkg and (Path(quartapp.__path__[0]) / part.name / "settings.py").exists():
            module = importlib.import_module(f"quartapp.{part.name}.settings")
            found |= {
                value
                for value in vars(module).values()
                if isinstance(value, type)
                and issubclass(value, PartSettings)
                and value.__module__ == module.__name__
            }
    return found


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        (DatabaseSettings, {"DATABASE_POOL_SIZE": 0}, "DATABASE_POOL_SIZE: expected greater than"),
        (DatabaseSettings, {"DATABASE_URL": f"mysql://u:{CANARY}@db/x"}, "DATABASE_URL: "),
        (AdmissionSettings, {"REQUEST_LIMIT": -1}, "REQUEST_LIMIT: expected greater than or equal"),
        (LogSettings, {"LOG_MAX_BYTES": "1 MB"}, "LOG_MAX_BYTES: expected a valid integer"),
        (MailSettings, {"MAIL_PORT": 65536}, "MAIL_PORT: expected less than or equal to 65535"),
        (
            MailSettings,
            {"MAIL_USE_TLS": True, "MAIL_USE_SSL": True, "MAIL_PASSWORD": CANARY},
            "MAIL_USE_SSL: expected at most one of MAIL_USE_TLS (STARTTLS) and MAIL_USE_SSL",
        ),
        (ReportingSettings, {"MAIL_SERVER": "mail.example"}, "ADMINS: is required with MAIL_SERV"),
        (ReportingSettings, {"ADMINS": f"ops@example.com,{CANARY}"}, "ADMINS: expected mail addr"),
        (ReportingSettings, {"ADMINS": [CANARY, 7]}, "ADMINS: expected a valid string"),
        (ReportingSettings, {"SENTRY_DSN": CANARY}, "SENTRY_DSN: expected a DSN as Sentry shows"),
        (ServingSettings, {"PORT": 65536}, "PORT: expected less than or equal to 65535"),
        (
            ServingSettings,
            {"TRUSTED_HOSTS": "https://example.com"},
            "TRUSTED_HOSTS: expected names",
        ),
        (ServingSettings, {"TRUSTED_HOSTS": "a.example,b:80"}, "TRUSTED_HOSTS: expected names"),
        (ServingSettings, {"WORKERS": "many"}, "WORKERS: expected a valid integer"),
        (ThrottlingSettings, {"REDIS_URL": f"http://:{CANARY}@host"}, "REDIS_URL: expected an add"),
    ],
)
def test_the_parts_say_what_they_expect(
    kind: type[PartSettings], config: dict[str, object], expected: str
) -> None:
    [line] = refusal(kind, **config)
    assert line.startswith(expected)
    assert CANARY not in line


@pytest.mark.parametrize("key", ["ADMINS", "MAIL_ADMINS"])
@pytest.mark.parametrize(
    "value", ["a@example.com, b@example.com,", ["a@example.com", "b@example.com"]]
)
def test_admins_are_a_text_or_a_sequence_under_either_name(key: str, value: object) -> None:
    settings = ReportingSettings.from_config({key: value})
    assert settings.admins == ("a@example.com", "b@example.com")


def test_behind_a_proxy_the_names_of_the_site_are_needed() -> None:
    names = "Example.com, .example.org,"
    given = ServingSettings.from_config({"PROXY_HOPS": 1, "TRUSTED_HOSTS": names})
    assert given.trusted_hosts == ("example.com", ".example.org")
    assert given.host_fault == ServingSettings().host_fault == ""
    nothing: list[object] = [None, "", []]
    for missing in nothing:
        fault = ServingSettings.from_config({"PROXY_HOPS": 1, "TRUSTED_HOSTS": missing}).host_fault
        assert "TRUSTED_HOSTS" in fault
