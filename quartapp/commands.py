"""The command `quartapp`, and the commands that this distribution adds to `quart`.

`quart` loads the entry points of all distributions to find one command. So this module imports no
part, and a command is imported when it is used: a part with a syntax error must not end the others.
"""

from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
from quart.cli import NoAppException, QuartGroup, ScriptInfo


class LaterCommand(click.Command):
    """A command whose module is imported when the command is used. `target` is "module:name"."""

    def __init__(self, name: str, target: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help)
        self._target = target

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **kw: Any
    ) -> click.Context:
        """The context of the real command, which click then invokes instead of this one."""
        return self._find(parent).make_context(info_name, args, parent, **kw)

    def _find(self, parent: click.Context | None) -> click.Command:
        module, name = self._target.split(":")
        command: click.Command = getattr(import_module(module), name)
        return command


class PluginCommand(LaterCommand):
    """A command for every application. It gives way to others of its name.

    Those are a command of another distribution, and with `loads_application` one of the application
    itself, which `quart` would not find otherwise: it prefers what comes from entry points.
    """

    def __init__(
        self, name: str, target: str, short_help: str, *, loads_application: bool = True
    ) -> None:
        super().__init__(name, target, short_help)
        self._loads_application = loads_application

    def _find(self, parent: click.Context | None) -> click.Command:
        name = str(self.name)
        if parent is not None and self._loads_application:
            try:
                app = parent.ensure_object(ScriptInfo).load_app()
            except (NoAppException, OSError):
                pass  # the command says so itself, if it needs the application
            else:
                if own := app.cli.get_command(parent, name):
                    return own
        for point in entry_points(group="quart.commands", name=name):
            if point.dist is not None and point.dist.name != "quartapp":
                other: click.Command = point.load()
                return other
        return super()._find(parent)


errors = PluginCommand(
    "errors",
    "quartapp.reporting.commands:errors",
    "Manage errors: list, show, resolve, test ...",
)
dev = PluginCommand(
    "dev",
    "quartapp.debugger.server.command:dev",
    "Run the development server with the debugger.",
    loads_application=False,  # it must start even if a module of the application is broken
)
db = PluginCommand(
    "db", "quartapp.database.migrations.commands:db", "Migrate, back up and restore the database."
)


class _Application(ScriptInfo):
    """The application that `quart` would find; where it would find none, the microblog."""

    @property
    def app_import_path(self) -> str | None:
        if self._named is None and not Path("app.py").exists():
            return "quartapp"
        return self._named

    @app_import_path.setter
    def app_import_path(self, value: str | None) -> None:
        self._named = value


class _QuartappGroup(QuartGroup):
    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **kw: Any
    ) -> click.Context:
        return super().make_context(info_name, args, parent, **{"obj": _Application(), **kw})


main = _QuartappGroup(
    name="quartapp",
    add_default_commands=False,
    add_version_option=False,
    help="""The commands of an application: those that quartapp adds to every one, and its own.

    The application is that of --app or QUART_APP, else the app.py in this folder, else the
    microblog. 'quartapp db upgrade' is 'quart --app quartapp db upgrade'.
    """,
)
click.version_option(package_name="quartapp")(main)
main.add_command(
    LaterCommand(
        "new",
        "quartapp.starter.command:new",
        "Write an application to start from into the folder NAME.",
    )
)
main.add_command(
    LaterCommand(
        "reload",
        "quartapp.serving.command:reload",
        "Replace the processes of a running server without a failed request.",
    )
)
