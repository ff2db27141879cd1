"""Serve the application under Hypercorn, through its API.

One worker is served in this process; more are processes of their own, and a master that stops
them all as soon as one of them ends. The exit code is 0 after a clean stop, 1 when serving
failed, 2 when the settings are wrong: a supervisor can tell them apart.
"""

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.middleware import ProxyFixMiddleware
from hypercorn.run import run as run_workers
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

from quartapp.app import create_app
from quartapp.config import LocalSettings, Settings, load_settings
from quartapp.exceptions import ConfigurationError

GRACEFUL_TIMEOUT = 10.0
"""Seconds that requests under way have to end before a stopping server cancels them."""

EXIT_FAILED, EXIT_MISCONFIGURED = 1, 2

_logger = logging.getLogger(__name__)


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
            migrate(settings)
        listener = listen(settings.host, settings.port)
    except ConfigurationError as error:
        return _refuse(str(error), EXIT_MISCONFIGURED)
    except OSError as error:
        return _refuse(_explain(error, settings), EXIT_FAILED)
    try:
        return _serve(settings, listener, local=local)
    except (LifespanFailureError, LifespanTimeoutError) as error:
        return _refuse(f"the application did not start: {error}", EXIT_FAILED)


def application() -> Any:
    """The ASGI application of a worker process, behind as many proxies as the settings say."""
    return behind_proxies(load_settings())


def local_application() -> Any:
    """As `application`, for workers of `run.py --local`."""
    return behind_proxies(load_settings(LocalSettings))


def behind_proxies(settings: Settings) -> Any:
    """The application; forwarded headers count only as far as PROXY_HOPS says."""
    app = create_app(settings)
    if settings.proxy_hops:
        return ProxyFixMiddleware(app, mode="legacy", trusted_hops=settings.proxy_hops)
    return app


def migrate(settings: Settings) -> None:
    """Bring the database to the newest migration. Call it outside of any event loop.

    Raises ConfigurationError where the migrations are not beside the package.
    """
    from alembic import command
    from alembic.config import Config as AlembicConfig

    ini = Path(__file__).parent.parent / "alembic.ini"
    if not ini.exists():
        raise ConfigurationError(f"there are no migrations beside the package: {ini} is missing")
    config = AlembicConfig(ini)
    config.attributes["database_url"] = settings.database_url
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


def _serve(settings: Settings, listener: socket.socket, *, local: bool) -> int:
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = GRACEFUL_TIMEOUT
    config.include_server_header = False
    config.worker_class = "uvloop" if _has_uvloop() else "asyncio"
    if settings.workers == 1:
        _run(serve(behind_proxies(settings), config))
        return 0
    config.workers = settings.workers
    factory = "local_application" if local else "application"
    config.application_path = f"quartapp.serving:{factory}()"
    return run_workers(config)


def _run(coroutine: Any) -> None:
    if _has_uvloop():
        import uvloop

        uvloop.run(coroutine)
    else:
        asyncio.run(coroutine)


def _has_uvloop() -> bool:
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return False
    return True


def _refuse(sentence: str, code: int) -> int:
    print(f"quartapp: {sentence}", file=sys.stderr)  # noqa: T201 the terminal is its reader
    return code


def _explain(error: OSError, settings: Settings) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"port {settings.port} is in use: stop the other server, or set PORT to a free one"
    if error.errno == errno.EACCES:
        return f"this user may not listen on {where}: set PORT to 1024 or more"
    return f"cannot listen on {where}: {error.strerror or error}"
