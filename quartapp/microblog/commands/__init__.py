"""The commands of `quart --app quartapp COMMAND`, found through the package's entry points.

Each is a plain function that calls asyncio.run: Quart's CLI never awaits an `async def` command.
They log to standard error; standard output is for results.
"""

from importlib import import_module
from typing import Any

import click


class LaterCommand(click.Command):
    """A command whose module is imported when the command is used.

    `quart` loads the entry points of all commands in order to find one, also for `dev`, which must
    start even if a module of the application has a syntax error.
    """

    def __init__(self, name: str, target: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help)
        self._target = target

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **kw: Any
    ) -> click.Context:
        """The context of the real command, which click then invokes instead of this one."""
        module, name = self._target.split(":")
        command: click.Command = getattr(import_module(module), name)
        return command.make_context(info_name, args, parent, **kw)


create_admin_command = LaterCommand(
    "create-admin",
    "quartapp.microblog.commands.people:create_admin",
    "Add a person who may see the errors of this site.",
)
seed_command = LaterCommand(
    "seed", "quartapp.microblog.commands.seed:seed", "Fill the database with people and posts."
)
errors_command = LaterCommand(
    "errors",
    "quartapp.microblog.commands.errors:errors",
    "Manage errors: list, show, resolve, test ...",
)
