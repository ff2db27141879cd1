"""No part reads the environment, except commands of a terminal and what starts processes."""

import ast
from collections.abc import Iterator

import pytest

from tests.setup.parts import PARTS, ROOT

READERS = {
    # The `dev` command: PORT, CI, EDITOR_URL, ENVIRONMENT, and what its process inherits.
    "debugger/server/command.py": {"os.environ", "envvar"},
    # `App.run(debug=True)`: ENVIRONMENT, CI and EDITOR_URL.
    "debugger/server/attach.py": {"os.environ"},
    "debugger/server/process.py": {
        "os.environ",
        "dotenv.dotenv_values",
        "quart.cli.load_dotenv",  # what the application finds is what `quart` gives others
        "quart.helpers.get_load_dotenv",
    },
    # `App.run`, which reads QUART_DEBUG and .env, as in Flask and Quart.
    "flasklike/development.py": {
        "quart.cli.load_dotenv",
        "quart.helpers.get_load_dotenv",
    },
    "flasklike/cli.py": {"quart.cli.load_dotenv"},  # exported, as Flask does
    "flasklike/helpers.py": {"quart.helpers.get_load_dotenv"},  # exported, as Flask does
    # FLASK_DEBUG, and QUART_DEBUG, which is set for the command `quart`.
    "flasklike/config.py": {"os.environ"},
    # The settings of an application that `quartapp new` writes.
    "starter/template/myapp/settings.py": {"os.environ", "dotenv.load_dotenv"},
    # The protocols of systemd: LISTEN_FDS, NOTIFY_SOCKET, WATCHDOG_USEC.
    "serving/supervisor.py": {"os.environ"},
    # PID_FILE and INSTANCE_PATH of `quartapp reload`, which does not load the application.
    "serving/command.py": {"envvar"},
    # PATH, HOME and the like, for the servers that tests start.
    "testing/server.py": {"os.environ"},
    # NO_COLOR, which is about the terminal.
    "reporting/commands/listing.py": {"os.environ"},
    # What PostgreSQL's programs inherit, which read variables of libpq (PGPASSFILE ...).
    "database/backups/postgresql.py": {"os.environ"},
    # What a forked server gets instead of the fork server's.
    "testing/forkserver.py": {"os.environ"},
}

WAYS = {
    *("os.environ", "os.environb", "os.getenv", "os.getenvb", "envvar"),
    *("pydantic_settings.BaseSettings", "dotenv.dotenv_values", "dotenv.load_dotenv"),
    *("quart.cli.load_dotenv", "quart.helpers.get_debug_flag", "quart.helpers.get_load_dotenv"),
}


def named_in(tree: ast.AST) -> Iterator[str]:
    """Names that are imported or used with their module, and the arguments of calls."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)):
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.Attribute(value=ast.Name(id=module)):
                yield f"{module}.{node.attr}"
            case ast.keyword(arg=str(name)):
                yield name


@pytest.mark.slow
def test_only_the_listed_modules_read_the_environment() -> None:
    package = ROOT / "quartapp"
    found: dict[str, set[str]] = {}
    paths = [*package.glob("*.py")]
    for part in PARTS:
        paths += (package / part).rglob("*.py")
    for path in paths:
        if used := WAYS & set(named_in(ast.parse(path.read_text("utf-8")))):
            found[path.relative_to(package).as_posix()] = used
    assert found == READERS
