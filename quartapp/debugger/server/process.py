"""The server's process: how it is started, and what it runs.

With the reloader this file is run as a script, in a process that ends at each change. It imports
nothing of quartapp at its top: the script must be able to show a syntax error in that package.
"""

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

import click
from dotenv import dotenv_values
from quart import Quart
from quart.cli import find_app_by_string, find_best_app, load_dotenv, prepare_import
from quart.helpers import get_load_dotenv

PREPARE = "debugger.prepare"
"""The key in `app.extensions` of a function that is called before the application is served,
outside of any event loop: to migrate a database, for example."""


def variables(port: int) -> dict[str, str]:
    """What the application finds in its environment: with the port, it can link to itself."""
    debug = {"DEBUG": "1", "QUART_DEBUG": "1", "ENVIRONMENT": "development"}
    return {**debug, "PORT": str(port)}


STOP_TIMEOUT = 5.0
"""Seconds that a server gets to end before it is killed."""

PACKAGE = Path(__file__).parents[2]
FOLDED = tuple(
    f"{part}{os.sep}"
    for part in ("database", "debugger", "errors", "flasklike", "inbox", "reporting", "throttling")
)
"""Folders of this package whose frames are folded like those of libraries: they are between the
server and a view, or between a view and a library, and are not what is being debugged."""

say = partial(click.echo, err=True)
"""Write a line to the terminal. Standard output is the application's."""


@dataclass(frozen=True)
class Options:
    """The options of the `dev` command that the server's process needs."""

    app: str
    address: str
    port: int
    debugger: bool
    evalex: bool
    pin: str | None
    key: str
    editor: str
    trusted_hosts: tuple[str, ...]


class ServerProcess:
    """A server in a separate process. It also ends when this process has ended, even if killed."""

    def __init__(self, options: Options, listener: int, environment: Mapping[str, str]) -> None:
        reading, writing = os.pipe()
        self._pipe = os.fdopen(writing, "wb", buffering=0)
        # Through a pipe and not as arguments or variables: other users can read a process's
        # arguments, and the application's own child processes inherit its environment. The server
        # keeps the reading end open, whose end of file tells it that this process is gone.
        self._pipe.write(json.dumps(asdict(options)).encode() + b"\n")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(listener), str(reading)],
                pass_fds=(listener, reading),
                env=environment,
            )
        finally:
            os.close(reading)

    @property
    def exit_code(self) -> int | None:
        """None while the process runs."""
        return self._process.poll()

    def stop(self) -> None:
        """End the process: by SIGTERM, and by SIGKILL after STOP_TIMEOUT or a KeyboardInterrupt."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._process.kill()
            self._process.wait()
            self._pipe.close()


def environment_without_file() -> dict[str, str]:
    """This process's environment without what `quart` took from the file .env.

    The server's process reads the file again each time it starts; a variable would hide a change.
    """
    variables = os.environ.items()  # noqa: TID251 handed on, and production refused
    return dict(variables - dotenv_values(".env").items())


def run(options: Options, listener: int, parent: int | None = None) -> None:
    """Load the application and serve it in this process, until SIGINT or SIGTERM.

    `parent` is the reading end of a pipe: the server also stops when the other end is closed.
    """
    from quartapp.debugger.page.frames import plain_text
    from quartapp.debugger.server.access import Access
    from quartapp.debugger.server.attach import develop, new_debugger
    from quartapp.debugger.server.hooks import set_debugger
    from quartapp.debugger.server.hosting import Hosting
    from quartapp.debugger.server.http_server import serve

    access = Access(
        port=options.port,
        pin=options.pin,
        evalex=options.evalex,
        trusted_hosts=options.trusted_hosts,
        key=bytes.fromhex(options.key),
    )
    debugger = new_debugger(access, options.address, options.editor)
    hosting = Hosting(debugger, log=lambda error: say(plain_text(error).rstrip()))
    app = hosting.load(partial(_load, options.app))
    if app is not None:
        keep_terminal_clean(app)
        if not app.debug:
            say(" * The debugger is off: this application is not in debug mode.")
        else:
            if options.debugger:
                set_debugger(app, debugger)
            develop(app, hosting)
    serve(hosting, listener, parent=parent)


def _load(path: str) -> Quart:
    """The application that `quart --app` would load, prepared. Raises what its import raises, where
    Quart's own function would turn an ImportError into text."""
    if get_load_dotenv():
        load_dotenv()  # the settings of many applications rely on `quart` doing so
    module_path, _, name = path.partition(":")
    module = import_module(prepare_import(module_path))
    app = find_app_by_string(module, name) if name else find_best_app(module)
    app.debug = True
    if prepare := app.extensions.get(PREPARE):
        prepare()
    return app


def announce_pin(*, evalex: bool, pin: str | None) -> None:
    """Print the PIN, or why there is none."""
    if not evalex:
        say(" * Debugger: without prompts")
    elif pin is None:
        say(" * Debugger: WITHOUT A PIN (WERKZEUG_DEBUG_PIN=off)")
    else:
        say(f" * Debugger PIN: {pin}")


def keep_terminal_clean(app: Quart) -> None:
    """Escape control characters in what the application logs to the terminal."""
    from quartapp.debugger.page.text import CleanFormatter

    for logger in (app.logger, logging.getLogger()):
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not hasattr(handler, "baseFilename"):
                handler.setFormatter(CleanFormatter(handler.formatter))


def _main() -> None:
    """What `ServerProcess` starts. The arguments are descriptors of the listener and the pipe."""
    listener, pipe = map(int, sys.argv[1:])
    with os.fdopen(os.dup(pipe), "rb", buffering=0) as reader:
        options = json.loads(reader.readline())
    sys.argv[1:] = []
    _import_debugger()
    run(Options(**options), listener, pipe)


def _import_debugger() -> None:
    """Import the debugger without running quartapp/__init__.py, whose error it may have to show."""
    package = ModuleType("quartapp")
    package.__path__ = [str(PACKAGE)]
    sys.modules["quartapp"] = package
    for name in ("attach", "http_server"):  # and all that these import
        import_module(f"quartapp.debugger.server.{name}")
    with suppress(
        Exception
    ):  # an error in redact: loading the application raises and shows it again
        import_module("quartapp.debugger.page.variables")
    del sys.modules["quartapp"]


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # Ctrl+C while the application is being imported
        _main()
