"""Commands."""

import click
from flask import Blueprint, current_app
from flask.cli import AppGroup, with_appcontext

from .store import connection, load_schema

users = AppGroup("users", help="People.")
bp = Blueprint("tools", __name__, cli_group="tools")


@click.command("load")
@with_appcontext
def load():
    """Load the recipes of the package."""
    count = load_schema()
    click.echo(f"Loaded {count} recipes.")


@users.command("add")
@click.argument("name")
@click.option("--password", default="secret")
def add(name, password):
    current_app.extensions["store"].add_user(name, password)
    click.echo(f"Added {name}.")


@bp.cli.command("count")
def count():
    click.echo(str(len(connection.recipes())))


def init_app(app):
    app.cli.add_command(load)
    app.cli.add_command(users)
    app.register_blueprint(bp)

    @app.cli.command("site")
    @click.option("--upper", is_flag=True)
    def site(upper):
        name = app.config["SITE_NAME"]
        click.echo(name.upper() if upper else name)
