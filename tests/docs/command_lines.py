"""Whether a command line of a document is one that exists, with these options."""

import argparse
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import click
from alembic.config import CommandLine
from quart import Quart
from quart.cli import ScriptInfo
from quart.cli import cli as quart_command

from quartapp.commands import main as quartapp_command
from quartapp.microblog.commands import COMMANDS

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# Nothing of ours is in these lines.
OTHERS = {
    *(
        "cd",
        "mkdir",
        "export",
        "curl",
        "git",
        "createuser",
        "createdb",
        "dropdb",
        "psql",
        "systemctl",
        "kill",
        "docker",
        "sudo",
        "jq",
        "journalctl",
        "docker",
    ),
    *(
        "python",
        "pip",
        "hypercorn",
        "uvicorn",
        "granian",
        "ruff",
        "pytest",
        "sqlite3",
        "source",
        ".",
    ),
    *("rm", "cat", "tail", "mypy", "cp", "mv"),
    *("dmesg", "free", "df", "du", "ls", "lsof", "ss", "chown", "mount", "smartctl", "cut"),
    *("nginx", "openssl", "certbot", "redis-cli", "pg_isready"),
}


def fault_of(line: str) -> str:
    """What is wrong with a command line, or ""."""
    words = shlex.split(line, comments=True)
    while words and re.match(r"\w+=", words[0]):
        del words[0]
    if not words:
        return ""
    program = re.sub(r"^(.*/)?(python)[\d.]*$", r"\2", words[0].removeprefix(".venv/bin/"))
    try:
        match program:
            case "make":
                _check_make(words[1:])
            case "quart":
                _check_click(quart_command, "quart", words[1:])
            case "quartapp":
                _check_click(quartapp_command, "quartapp", words[1:])
            case "alembic":
                CommandLine().parser.parse_args(words[1:])
            case "python":
                _check_python(words[1:])
            case "pip":
                _check_install(words[1:])
            case _ if program not in OTHERS:
                return f"{program} is a program that tests/docs/command_lines.py does not know"
    except (
        AssertionError,
        click.ClickException,
        click.exceptions.Exit,
        argparse.ArgumentError,
    ) as e:
        return str(e) or repr(e)
    except SystemExit:
        return "it has no such arguments"
    return ""


def _check_make(words: list[str]) -> None:
    for word in words:
        name, given, _ = word.partition("=")
        pattern = rf"\$\({name}\)|\(?\b{name} *\?=|if \$\({name}\)" if given else rf"^{name}:"
        assert re.search(pattern, MAKEFILE, re.MULTILINE), f"the Makefile has no {name}"


def _check_click(command: click.Command, name: str, words: list[str]) -> None:
    """Parse the arguments, down to the innermost command, without what its options cause."""
    app = Quart("documented")
    if "--app quartapp" in " ".join(words):
        for own in COMMANDS:
            app.cli.add_command(own)
    context = click.Context(command, info_name=name, obj=ScriptInfo(create_app=lambda: app))
    while True:
        _, words, _ = command.make_parser(context).parse_args(list(words))
        if not isinstance(command, click.Group) or not words:
            return
        found = command.get_command(context, words[0])
        assert found is not None, f"{name} has no command {words[0]}"
        name, words = words[0], words[1:]
        command = found.make_context(name, [], context, resilient_parsing=True).command
        context = click.Context(command, parent=context, info_name=name)


def _check_python(words: list[str]) -> None:
    if words[:1] == ["-m"]:
        assert importlib.util.find_spec(words[1]), f"there is no module {words[1]}"
        if words[1] == "quart":
            _check_click(quart_command, "quart", words[2:])
        if words[1] == "pip":
            _check_install(words[2:])
    elif words[:1] == ["-c"]:
        compile(words[1], "<command>", "exec")
    elif words and "/" in words[0]:  # otherwise a file of the reader
        assert (ROOT / words[0]).exists(), f"there is no {words[0]}"


def _check_install(words: list[str]) -> None:
    extras = set(PROJECT["optional-dependencies"])
    for named in re.findall(r"quartapp\S*\[([\w,]+)\]|^\.\[([\w,]+)\]", " ".join(words)):
        unknown = set("".join(named).split(",")) - extras
        assert not unknown, f"quartapp has no extra {', '.join(unknown)}"
