"""`quart --app shop errors ...` for an application that knows nothing else of quartapp."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from quart import Quart
from quart.cli import ScriptInfo, cli

from quartapp.reporting import Reporting
from quartapp.settings import ConfigurationError


def make_shop(folder: Path) -> Quart:
    app = Quart("shop", root_path=str(folder), instance_path=str(folder / "instance"))
    app.add_url_rule("/boom", view_func=boom)
    return app


async def boom() -> str:
    raise LookupError("nothing here")


def run(app: Quart, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["errors", *arguments], obj=ScriptInfo(create_app=lambda: app))


async def serve_an_error(app: Quart) -> None:
    async with app.test_app():
        await app.test_client().get("/boom")


def test_the_errors_of_an_application_are_listed_shown_and_resolved(tmp_path: Path) -> None:
    app = make_shop(tmp_path)
    Reporting(app)
    asyncio.run(serve_an_error(app))
    listed = run(app, "list")
    assert listed.exit_code == 0, listed.output
    assert "LookupError" in listed.stdout
    assert "boom" in run(app, "show", "1").stdout
    assert run(app, "resolve", "1").stdout == "1 is resolved.\n"
    assert "resolved" in run(app, "list").stdout


def test_a_test_of_the_whole_way_needs_no_server(tmp_path: Path) -> None:
    app = make_shop(tmp_path)
    Reporting(app)
    result = run(app, "test")
    assert result.exit_code == 0, result.output
    assert "counted in the database as group 1" in result.stdout


def test_an_application_without_reporting_says_how_to_install_it(tmp_path: Path) -> None:
    result = run(make_shop(tmp_path), "list")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: The application 'shop' has no reporting of errors. Install it there with"
        " 'from quartapp.reporting import Reporting' and 'Reporting(app)'.\n"
    )


@pytest.mark.parametrize("arguments", [("list",), ("show", "1"), ("prune",)])
def test_a_command_makes_no_database(arguments: tuple[str, ...], tmp_path: Path) -> None:
    app = make_shop(tmp_path)
    Reporting(app)
    result = run(app, *arguments)
    assert result.exit_code == 1
    assert "errors.db does not exist yet; a server makes it" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_finds_a_new_application_well(tmp_path: Path) -> None:
    app = make_shop(tmp_path)
    Reporting(app)
    result = run(app, "doctor")
    assert result.exit_code == 0, result.output
    assert "errors.db does not exist yet" in result.stdout


def test_wrong_settings_are_one_sentence(tmp_path: Path) -> None:
    def create_app() -> Quart:
        app = make_shop(tmp_path)
        app.config["MAIL_SEVER"] = "mail.example.com"
        Reporting(app)
        return app

    result = CliRunner().invoke(cli, ["errors", "list"], obj=ScriptInfo(create_app=create_app))
    assert result.exit_code == ConfigurationError.exit_code
    assert "did you mean MAIL_SERVER?" in result.stderr
