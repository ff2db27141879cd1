"""The microblog's own commands, in its `app.cli`: `quart --app quartapp COMMAND`.

Each is a plain function that calls asyncio.run. They log to standard error; standard output is for
results.
"""

from quartapp.commands import LaterCommand

COMMANDS = (
    LaterCommand(
        "create-admin",
        "quartapp.microblog.commands.people:create_admin",
        "Add a person who may see the errors of this site.",
    ),
    LaterCommand(
        "seed", "quartapp.microblog.commands.seed:seed", "Fill the database with people and posts."
    ),
)
