"""`quart --app APP dev`: the development server, with the debugger and the reloader.

This module imports nothing of quartapp at its top, and the process that watches the files imports
nothing of the application at all: a syntax error that the developer has just made must be shown in
the browser, and must not end the command.
"""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click
from quart.cli import ScriptInfo, pass_script_info

if TYPE_CHECKING:
    from quartapp.debugger.server.process import Options

BACKLOG = 100
"""Connections that may wait while the server restarts, so that none of them is refused."""


@click.command("dev", short_help="Run the development server with the debugger.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=5000, show_default=True, envvar="PORT"
)
@click.option("--debugger/--no-debugger", default=True, help="Show errors in the browser.")
@click.option("--reload/--no-reload", default=True, help="Restart when a file changes.")
@click.option(
    "--evalex/--no-evalex",
    default=None,
    help="Offer a prompt in each frame. Default: yes, but not where CI is set.",
)
@click.option("--trusted-host", multiple=True, help="Another name under which you visit the page.")
@click.option("--allow-remote", is_flag=True, help="Listen on an address that others can reach.")
@click.option(
    "--editor",
    envvar="EDITOR_URL",
    default="",
    help="Link lines of source to this editor: vscode, pycharm, zed ... or an address.",
)
@click.option("--ci", envvar="CI", default="", hidden=True)
@pass_script_info
def dev(
    info: ScriptInfo,
    host: str,
    port: int,
    debugger: bool,
    reload: bool,
    evalex: bool | None,
    trusted_host: tuple[str, ...],
    allow_remote: bool,
    editor: str,
    ci: str,
) -> None:
    """Run the development server.

    Errors are shown in the browser, with a Python prompt in each frame that the PIN below
    unlocks. To use the debugger of an IDE instead: --no-debugger --no-reload.
    """
    from quartapp.debugger.page.editor import editor_pattern
    from quartapp.debugger.server.access import machine_pin
    from quartapp.debugger.server.process import Options, run, variables
    from quartapp.sockets import is_loopback

    _refuse_production()
    try:
        editor = editor_pattern(editor)
    except ValueError as fault:
        raise click.UsageError(f"the editor (EDITOR_URL) {fault}") from None
    app = info.app_import_path or _default_app()
    if not is_loopback(host) and not allow_remote:
        raise click.UsageError(
            f"{host} can be reached by others, and they would see this program's source with "
            "every error. If that is meant, add --allow-remote."
        )
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    if evalex is None:
        evalex = ci.lower() in {"", "0", "false"}
    evalex = evalex and debugger
    options = Options(
        app=app,
        address=_address(host, port),
        port=port,
        debugger=debugger,
        evalex=evalex,
        pin=machine_pin(app) if evalex else None,
        key=os.urandom(32).hex(),
        editor=editor,
        trusted_hosts=(*trusted_host, *(() if is_loopback(host) else (host,))),
    )
    _announce(options)
    with listener:
        if reload:
            _run_with_reloader(options, listener.fileno())
        else:
            os.environ.update(variables(port))  # noqa: TID251 for the settings, which read it next
            run(options, listener.fileno())


def _run_with_reloader(options: "Options", listener: int) -> None:
    from quartapp.debugger.server.process import (
        ServerProcess,
        environment_without_file,
        say,
        variables,
    )
    from quartapp.debugger.server.reloader import Files, Reloader, source_folders

    folder = Path(options.app.partition(":")[0]).resolve().parent
    files = Files(source_folders(folder), [Path(".env")])
    # Made once: after a change of .env it would no longer be known which variables came from it.
    environment = environment_without_file() | variables(options.port)
    Reloader(files, lambda: ServerProcess(options, listener, environment), say).run()


def _default_app() -> str:
    """The application that `quart run` finds without --app: app.py, or a package of that name."""
    if Path("app.py").exists() or Path("app/__init__.py").exists():
        return "app"
    raise click.UsageError(
        "There is no app.py in this folder: name an application with "
        "'quart --app MODULE dev' or 'quart --app MODULE:NAME dev', or set QUART_APP."
    )


def _refuse_production() -> None:
    from quartapp.debugger.server.process import environment_without_file

    # The file .env holds the machine's default, which this command is there to override.
    if environment_without_file().get("ENVIRONMENT") == "production":
        raise click.UsageError(
            "ENVIRONMENT is production, and this is the development server. Unset it, or say "
            "ENVIRONMENT=development."
        )


def _listen(host: str, port: int) -> socket.socket:
    from quartapp.sockets import bind

    try:
        listener = bind(host, port)
        listener.listen(BACKLOG)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener


def _address(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(options: "Options") -> None:
    from quartapp.debugger.server.process import announce_pin, say

    say(f" * Development server of {options.app}: {options.address} (Ctrl+C stops it)")
    if not options.debugger:
        say(" * Debugger: off")
    else:
        announce_pin(evalex=options.evalex, pin=options.pin)
