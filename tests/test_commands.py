"""The commands of this distribution, beside those of an application and of other distributions."""

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from quart import Quart
from quart.cli import QuartGroup, ScriptInfo

from quartapp import commands
from quartapp.commands import PluginCommand
from quartapp.flasklike import App

APPLICATIONS = pytest.mark.parametrize("kind", [App, Quart])


def quart(app: Quart, *arguments: str) -> Result:
    return CliRunner().invoke(QuartGroup(create_app=lambda: app), arguments)


@APPLICATIONS
def test_errors_reach_any_application(kind: type[Quart]) -> None:
    result = quart(kind("shop"), "errors", "list")
    assert result.exit_code == 1
    assert "'shop' has no reporting of errors" in result.output


@APPLICATIONS
def test_a_command_of_the_application_goes_before(kind: type[Quart]) -> None:
    app = kind("shop")

    @app.cli.command("errors")
    @click.argument("number", type=int)
    def errors(number: int) -> None:
        click.echo(f"{number} errors in the shop")

    result = quart(app, "errors", "7")
    assert (result.exit_code, result.output) == (0, "7 errors in the shop\n")


@pytest.fixture(params=["before", "after"])
def stranger(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A distribution with commands of the same names, which Python finds before or after ours."""
    (tmp_path / "stranger.py").write_text(
        "import click\n\n\n@click.command()\ndef say() -> None:\n    click.echo('the stranger')\n"
    )
    described = tmp_path / "stranger-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(
        "[quart.commands]\nerrors = stranger:say\ndev = stranger:say\n"
    )
    at = 0 if request.param == "before" else len(sys.path)
    monkeypatch.setattr(sys, "path", [*sys.path[:at], str(tmp_path), *sys.path[at:]])


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("name", ["errors", "dev"])
def test_a_command_of_another_distribution_goes_before(name: str) -> None:
    assert quart(Quart("shop"), name).output == "the stranger\n"


@pytest.mark.usefixtures("stranger")
def test_the_application_goes_before_other_distributions_too() -> None:
    app = App("shop")
    app.cli.add_command(click.Command("errors", help="Errors of the shop."))
    with click.Context(QuartGroup(), obj=ScriptInfo(create_app=lambda: app)) as parent:
        made = commands.errors.make_context("errors", [], parent)
    assert made.command.help == "Errors of the shop."


def test_dev_does_not_load_the_application() -> None:
    def broken() -> Quart:
        raise SyntaxError("a module of the application")

    result = CliRunner().invoke(QuartGroup(create_app=broken), ["dev", "--help"])
    assert result.exit_code == 0
    assert "debugger" in result.output


def test_each_leads_to_a_command_of_its_name() -> None:
    for command in vars(commands).values():
        if isinstance(command, PluginCommand):
            context = command.make_context(command.name, ["--help"], resilient_parsing=True)
            assert context.command.name == command.name


def test_quartapp_has_the_commands_of_the_application_in_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "app.py").write_text(
        "from quartapp.flasklike import App\n\napp = App('shop')\n\n\n"
        "@app.cli.command('count')\ndef count() -> None:\n    print('7 items')\n"
    )
    try:
        counted = CliRunner().invoke(commands.main, ["count"])
        listed = CliRunner().invoke(commands.main, ["--help"])
    finally:
        del sys.modules["app"]
    assert (counted.exit_code, counted.output) == (0, "7 items\n")
    assert {"count", "db", "errors", "new"} <= set(listed.output.split())


def test_quartapp_works_on_the_microblog_where_no_application_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert commands._Application().app_import_path == "quartapp"
    assert commands._Application("shop").app_import_path == "shop"
