"""Serve the application under Hypercorn, through its API.

One worker is served in this process; more are processes of their own, and a master that stops
them all as soon as one of them ends. The exit code is 0 after a clean stop, 1 when serving
failed, 2 when the settings are wrong: a supervisor can tell them apart.
"""

import asyncio
import errno
import gc
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.middleware import ProxyFixMiddleware
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

from quartapp.microblog.app import create_app
from quartapp.microblog.config import LocalSettings, Settings, debug_switches, load_settings
from quartapp.microblog.exceptions import ConfigurationError
from quartapp.serving.workers import run_workers

GRACEFUL_TIMEOUT = 10.0
"""Seconds that requests under way have to end before a stopping server cancels them."""

_START_FAILURES = (LifespanFailureError, LifespanTimeoutError)

EXIT_FAILED, EXIT_MISCONFIGURED = 1, 2


def main(arguments: Sequence[str] = ()) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code. Faults are one sentence on stderr.

    With `--local` a missing secret key is made and kept, and the database is migrated first.
    """
    if unknown := set(arguments) - {"--local"}:
        return _refuse(f"unknown argument {sorted(unknown)[0]!r}; known is --local", 2)
    local = "--local" in arguments
    try:
        settings = load_settings(LocalSettings if local else Settings)
        if local:
            migrate(settings.database_url)
        listener = listen(settings.host, settings.port)
    except ConfigurationError as error:
        return _refuse(str(error), EXIT_MISCONFIGURED)
    except OSError as error:
        return _refuse(_explain(error, settings), EXIT_FAILED)
    for name in debug_switches():
        _say(
            f"{name} has no effect: this server has no debugger. It is in the development server,"
            " 'make dev' or 'quart --app quartapp dev'."
        )
    work = partial(_work, local)
    if settings.workers > 1:
        collect_from_now_on()
        return run_workers(work, listener, settings.workers, GRACEFUL_TIMEOUT + 5)
    work(listener, lambda: None)
    return 0


def behind_proxies(settings: Settings) -> Any:
    """The application; forwarded headers count only as far as PROXY_HOPS says."""
    app = create_app(settings)
    if settings.proxy_hops:
        return ProxyFixMiddleware(app, mode="legacy", trusted_hops=settings.proxy_hops)
    return app


def migrate(database_url: str) -> None:
    """Bring the database to the newest migration. Call it outside of any event loop.

    Raises ConfigurationError where the migrations are not beside the package.
    """
    from alembic import command
    from alembic.config import Config as AlembicConfig

    ini = Path(__file__).parents[2] / "alembic.ini"
    if not ini.exists():
        raise ConfigurationError(f"there are no migrations beside the package: {ini} is missing")
    config = AlembicConfig(ini)
    config.attributes["database_url"] = database_url
    command.upgrade(config, "head")


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises OSError, before anything else was started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def serve_here(
    kind: type[Settings], listener: socket.socket, started: Callable[[], None] = lambda: None
) -> None:
    """Serve in this process until SIGINT or SIGTERM, or until the master is gone.

    `started` is called when the application has started. Raises Hypercorn's lifespan errors.
    """
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = GRACEFUL_TIMEOUT
    config.include_server_header = False
    settings = load_settings(kind)
    application = behind_proxies(settings)

    async def serve_until_told() -> None:
        # Before the start: a signal that comes during it is heard as soon as it is over.
        told = _listen_for_the_end()

        async def until_told() -> None:
            collect_from_now_on()
            started()
            await told.wait()

        await serve(application, config, shutdown_trigger=until_told)

    with asyncio.Runner(loop_factory=loop_factory(settings)) as runner:
        runner.run(serve_until_told())


def loop_factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop: uvloop for PostgreSQL where it is installed; None is asyncio's.

    It makes a database cheaper that is asked over sockets. With SQLite it gives nothing, and new
    connections wait longer for their first answer.
    """
    if settings.database_url.startswith("sqlite"):
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def collect_from_now_on() -> None:
    """Let the garbage collector work, but not through what is there already: it stays for good."""
    gc.freeze()
    gc.enable()


def _listen_for_the_end() -> asyncio.Event:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(name) is not signal.SIG_IGN:
            loop.add_signal_handler(name, told.set)
    if (master := parent_process()) is not None:
        loop.add_reader(master.sentinel, told.set)  # readable when the master has died
    return told


def _work(local: bool, listener: socket.socket, started: Callable[[], None]) -> None:
    try:
        serve_here(LocalSettings if local else Settings, listener, started)
    except _START_FAILURES as error:
        sys.exit(_refuse(f"the application did not start: {error}", EXIT_FAILED))


def _say(sentence: str) -> None:
    print(f"quartapp: {sentence}", file=sys.stderr)  # noqa: T201 the terminal is its reader


def _refuse(sentence: str, code: int) -> int:
    _say(sentence)
    return code


def _explain(error: OSError, settings: Settings) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"port {settings.port} is in use: stop the other server, or set PORT to a free one"
    if error.errno == errno.EACCES:
        return f"this user may not listen on {where}: set PORT to 1024 or more"
    return f"cannot listen on {where}: {error.strerror or error}"
