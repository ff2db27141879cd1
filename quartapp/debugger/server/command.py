"""`quart --app quartapp dev`: the development server, with the debugger and the reloader.

This module imports nothing of ours at its top, and the process that watches the files imports
nothing of the application at all: a syntax error that a developer just made must be shown, and
must not end the command that would show it. With the reloader the server is a process of its own
that runs this file as a script.
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from dotenv import dotenv_values
from quart import Quart
from quart.cli import (
    ScriptInfo,
    find_app_by_string,
    find_best_app,
    pass_script_info,
    prepare_import,
)

_PACKAGE = Path(__file__).parents[2]

PREPARE = "debugger.prepare"
"""Under this name in `app.extensions` an application may have a function that this command calls
before it serves, outside of any event loop: to migrate a database, say."""

BACKLOG = 100
"""Connections that wait while the server restarts: a browser that asks then is not refused."""

ENVIRONMENT = {"DEBUG": "1", "QUART_DEBUG": "1", "ENVIRONMENT": "development"}
"""What the application finds in its environment under this command."""

FOLDED = (f"debugger{os.sep}", f"flasklike{os.sep}")
"""What of this package is plumbing to who debugs a view: its frames are folded away."""


@dataclass(frozen=True)
class Options:
    """What the server's process needs to know."""

    app: str
    address: str
    port: int
    debugger: bool
    evalex: bool
    pin: str | None
    key: str
    trusted_hosts: tuple[str, ...]


@click.command("dev", short_help="Run the development server with the debugger.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=int, default=5000, show_default=True, envvar="PORT")
@click.option("--debugger/--no-debugger", default=True, help="Show errors in the browser.")
@click.option("--reload/--no-reload", default=True, help="Restart when a file changes.")
@click.option(
    "--evalex/--no-evalex",
    default=None,
    help="Offer a prompt in each frame. Default: yes, but not where CI is set.",
)
@click.option("--trusted-host", multiple=True, help="Another name under which you visit the page.")
@click.option("--allow-remote", is_flag=True, help="Listen on an address that others can reach.")
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
    ci: str,
) -> None:
    """Run the development server.

    Errors are shown in the browser, with a Python prompt in each frame that the PIN below
    unlocks. To use the debugger of an IDE instead: --no-debugger --no-reload.
    """
    from quartapp.sockets import bind, is_loopback

    _refuse_production()
    if not is_loopback(host) and not allow_remote:
        raise click.UsageError(
            f"{host} can be reached by others, and they would see this program's source with "
            "every error. If that is meant, add --allow-remote."
        )
    try:
        listener = bind(host, port)
        listener.listen(BACKLOG)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from None
    port = listener.getsockname()[1]
    if evalex is None:
        evalex = ci.lower() in {"", "0", "false"}
    app = info.app_import_path or "quartapp"
    evalex = evalex and debugger
    options = Options(
        app=app,
        address=_address(host, port),
        port=port,
        debugger=debugger,
        evalex=evalex,
        pin=_pin(app) if evalex else None,
        key=os.urandom(32).hex(),
        trusted_hosts=(*trusted_host, *(() if is_loopback(host) else (host,))),
    )
    _announce(options)
    with listener:
        if reload:
            _run_reloader(options, listener.fileno())
        else:
            os.environ.update(ENVIRONMENT)  # noqa: TID251 what the settings are about to read
            run_server(options, listener.fileno())


def run_server(options: Options, listener: int, parent: int | None = None) -> None:
    """Load the application and serve it in this process, until it is told to stop."""
    from quartapp.debugger.page.frames import plain_text
    from quartapp.debugger.server.access import Access
    from quartapp.debugger.server.debugger import Debugger
    from quartapp.debugger.server.hosting import Hosting
    from quartapp.debugger.server.serve import serve

    access = Access(
        port=options.port,
        pin=options.pin,
        evalex=options.evalex,
        trusted_hosts=options.trusted_hosts,
        key=bytes.fromhex(options.key),
    )
    debugger = Debugger(
        access,
        address=options.address,
        say=_say,
        is_secret=_is_secret,
        names=_names,
        settle=_settle,
        libraries=[f"{_PACKAGE}{os.sep}{name}" for name in FOLDED],
    )
    hosting = Hosting(debugger, log=lambda error: _say(plain_text(error).rstrip()))
    app = hosting.load(partial(_load, options.app))
    if app is not None:
        _keep_terminal_clean(app)
        if not app.debug:
            _say(" * The debugger is off: this application is not in debug mode.")
        elif options.debugger:
            app.debugger = debugger  # type: ignore[attr-defined] # of flasklike.App
    serve(hosting, listener, parent=parent)


def _load(path: str) -> Quart:
    """The application that `quart --app` would load; what its import raises comes out as it is."""
    module_path, _, name = path.partition(":")
    module = import_module(prepare_import(module_path))
    app = find_app_by_string(module, name) if name else find_best_app(module)
    app.debug = True
    if prepare := app.extensions.get(PREPARE):
        prepare()
    return app


def _run_reloader(options: Options, listener: int) -> None:
    from quartapp.debugger.server.reload import Files, Reloader, source_folders

    folder = Path(options.app.partition(":")[0]).resolve().parent
    files = Files(source_folders(folder), [Path(".env")])
    environment = _environment()
    pipes: list[int] = []

    def start() -> "subprocess.Popen[bytes]":
        while pipes:
            os.close(pipes.pop())
        reading, writing = os.pipe()
        pipes.append(writing)
        # Not as arguments or in the environment: others may read the one, and the
        # application's own children inherit the other.
        os.write(writing, json.dumps(asdict(options)).encode() + b"\n")
        try:
            return subprocess.Popen(
                [sys.executable, "-P", __file__, str(listener), str(reading)],
                pass_fds=(listener, reading),
                env=environment,
            )
        finally:
            os.close(reading)

    Reloader(files, start, _say).run()


def _environment(*, with_ours: bool = True) -> dict[str, str]:
    """The environment of the server's process.

    What `quart` took from the file .env is left out: the settings read the file themselves, and
    would not see a change of it otherwise.
    """
    variables = dict(os.environ)  # noqa: TID251 for a child process, not read
    for name, value in dotenv_values(".env").items():
        if variables.get(name) == value:
            del variables[name]
    return variables | ENVIRONMENT if with_ours else variables


def _refuse_production() -> None:
    # What stands in .env is the machine's default, which this command is there to override.
    if _environment(with_ours=False).get("ENVIRONMENT") == "production":
        raise click.UsageError(
            "ENVIRONMENT is production, and this is the development server. Unset it, or say "
            "ENVIRONMENT=development."
        )


def _pin(app: str) -> str | None:
    from quartapp.debugger.server.access import machine_pin

    return machine_pin(app)


def _address(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(options: Options) -> None:
    _say(f" * Development server of {options.app}: {options.address} (Ctrl+C stops it)")
    if not options.debugger:
        _say(" * Debugger: off")
    elif not options.evalex:
        _say(" * Debugger: without prompts")
    elif options.pin is None:
        _say(" * Debugger: WITHOUT A PIN (WERKZEUG_DEBUG_PIN=off)")
    else:
        _say(f" * Debugger PIN: {options.pin}")


def _say(line: str) -> None:
    click.echo(line, err=True)


def _is_secret(name: str) -> bool:
    """Reporting's opinion on a name; while that cannot be imported, everything is secret."""
    try:
        from quartapp.redact.secret_names import is_secret_name

        return is_secret_name(name)
    except Exception:  # noqa: BLE001 the developer may be editing that very module
        return True


def _names() -> Mapping[str, Any]:
    """`db_session` for every prompt: the database session of the failed request."""
    from quart import current_app, has_app_context

    if not has_app_context() or "database" not in current_app.extensions:
        return {}
    from quartapp.database import request_session

    return {"db_session": request_session()}


async def _settle(namespace: Mapping[str, Any]) -> None:
    """Give back the connections of the sessions that a command used."""
    from sqlalchemy.ext.asyncio import AsyncSession

    sessions = [value for value in namespace.values() if isinstance(value, AsyncSession)]
    for session in sessions:
        if session.in_transaction():
            try:
                await asyncio.shield(session.close())
            except Exception:
                logging.getLogger(__name__).exception("A prompt's session could not be closed.")


def _keep_terminal_clean(app: Quart) -> None:
    from quartapp.debugger.page.text import CleanFormatter

    for logger in (app.logger, logging.getLogger()):
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not hasattr(handler, "baseFilename"):
                handler.setFormatter(CleanFormatter(handler.formatter))


def _serve_as_child() -> None:
    """The reloader's child: descriptors of the listener and of the pipe are its arguments."""
    listener, pipe = map(int, sys.argv[1:])
    with os.fdopen(os.dup(pipe), "rb", buffering=0) as reader:
        options = json.loads(reader.readline())
    sys.argv[1:] = []
    # The debugger must be there to show an error of the package that it stands in.
    package = ModuleType("quartapp")
    package.__path__ = [str(_PACKAGE)]
    sys.modules["quartapp"] = package
    for name in ("hosting", "serve"):  # and all that these two import
        import_module(f"quartapp.debugger.server.{name}")
    del sys.modules["quartapp"]
    run_server(Options(**options), listener, pipe)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # Ctrl+C while the application is being imported
        _serve_as_child()
