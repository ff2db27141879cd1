"""The engine that an application's configuration describes.

DATABASE_URL and its companions are in `settings`. For applications that are ported,
SQLALCHEMY_DATABASE_URI, SQLALCHEMY_ECHO and SQLALCHEMY_ENGINE_OPTIONS are understood as well, and
what is not supported is refused with what to write instead.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from quart import Quart
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from quartapp.database.engine import DatabaseEngine
from quartapp.database.settings import DatabaseSettings
from quartapp.database.url import async_url, in_folder, without_pooler
from quartapp.settings import ConfigurationError, misspellings

EngineFactory = Callable[[URL], AsyncEngine]

_OWN_ENGINE = "pass the engine: Database(engine=create_async_engine(...))"

# Those of `create_async_engine` that fit our pool and drivers; on SQLite without the last two.
_ENGINE_OPTIONS = {
    "echo",
    "echo_pool",
    "enable_from_linting",
    "execution_options",
    "hide_parameters",
    "json_deserializer",
    "json_serializer",
    "logging_name",
    "pool_logging_name",
    "pool_pre_ping",
    "pool_recycle",
    "pool_size",
    "pool_timeout",
    "query_cache_size",
}
_ENGINE_OPTIONS_OF_A_SERVER = {"connect_args", "isolation_level"}

_PORTED = ("SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_ECHO", "SQLALCHEMY_ENGINE_OPTIONS")

_REFUSED = {
    "SQLALCHEMY_BINDS": "is not supported: an application has one database. Make a second"
    " application, or a DatabaseEngine with its address",
    "SQLALCHEMY_TRACK_MODIFICATIONS": "is not supported: listen to SQLAlchemy's session events",
    "SQLALCHEMY_RECORD_QUERIES": "is not supported: call observe() of app.extensions['database']",
    "SQLALCHEMY_COMMIT_ON_TEARDOWN": "is not supported: commit in the view",
}


def make_engine(
    app: Quart,
    given: AsyncEngine | EngineFactory | None,
    engine_options: Mapping[str, Any],
    session_options: Mapping[str, Any],
    *,
    limited: bool = True,
) -> DatabaseEngine:
    """The engine of an application, which is connected to nothing. Raises ConfigurationError.

    Without `limited`, DATABASE_TIMEOUT does not hold for it.
    """
    faults = misspellings(app.config, [*DatabaseSettings.keys(), *_PORTED, *_REFUSED])
    faults += [f"{key} {reason}." for key, reason in _REFUSED.items() if app.config.get(key)]
    if faults:
        raise ConfigurationError("\n".join(faults))
    if isinstance(given, AsyncEngine):
        return DatabaseEngine.from_engine(given, session_options=session_options)
    settings = DatabaseSettings.from_config(_with_url(app.config))
    url = in_folder(async_url(settings.database_url), Path(app.instance_path))
    ported = app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}
    if not isinstance(ported, dict):
        raise ConfigurationError("SQLALCHEMY_ENGINE_OPTIONS: expected a dict")
    options = {**engine_options, **ported}
    if "SQLALCHEMY_ECHO" in app.config:
        options.setdefault("echo", app.config["SQLALCHEMY_ECHO"])
    if given is not None:
        theirs = given(without_pooler(url)[0])
        return DatabaseEngine.from_engine(theirs, session_options=session_options)
    _check(options, url)
    size = options.pop("pool_size", settings.database_pool_size)
    more = {"pool_timeout": options.pop("pool_timeout")} if "pool_timeout" in options else {}
    return DatabaseEngine(
        url.render_as_string(hide_password=False),
        pool_size=settings.database_pool_size if "DATABASE_POOL_SIZE" in app.config else size,
        pool_queue=settings.database_queue,
        statement_timeout=(limited and settings.database_timeout) or None,
        engine_options=options,
        session_options=session_options,
        **more,
    )


def _with_url(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with SQLALCHEMY_DATABASE_URI as DATABASE_URL."""
    url, ported = config.get("DATABASE_URL"), config.get("SQLALCHEMY_DATABASE_URI")
    if url and ported and url != ported:
        raise ConfigurationError(
            "DATABASE_URL and SQLALCHEMY_DATABASE_URI differ: keep one of them"
        )
    if isinstance(ported, URL):
        ported = ported.render_as_string(hide_password=False)
    if not (url or ported):
        raise ConfigurationError(
            "DATABASE_URL is required, such as sqlite:///shop.db (in the instance folder)"
            " or postgresql://user:password@host/shop"
        )
    return {**config, "DATABASE_URL": url or ported}


def _check(options: Mapping[str, Any], url: URL) -> None:
    known = _ENGINE_OPTIONS
    if url.get_backend_name() != "sqlite":
        known = known | _ENGINE_OPTIONS_OF_A_SERVER
    unknown = sorted(options.keys() - known)
    if unknown:
        raise ConfigurationError(
            f"the engine options {', '.join(unknown)} are not supported with this driver and pool:"
            f" leave them out, or {_OWN_ENGINE}"
        )
