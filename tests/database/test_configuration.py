"""The engine that `app.config` describes."""

from typing import Any

import pytest
from sqlalchemy.engine import make_url

from quartapp.database import Database, DatabaseEngine
from quartapp.settings import ConfigurationError
from tests.database.conftest import MakeApp

SERVER = "postgresql://user:secret@db.example.com/shop"


def engine_of(make_app: MakeApp, options: dict[str, Any] | None = None, **config: Any) -> Any:
    app = make_app(**config)
    Database(app, engine_options=options)
    database: DatabaseEngine = app.extensions["database"]
    return database


@pytest.mark.parametrize("key", ["DATABASE_URL", "SQLALCHEMY_DATABASE_URI"])
def test_a_relative_file_is_in_the_instance_folder(make_app: MakeApp, key: str) -> None:
    def config(url: str) -> dict[str, Any]:
        return {key: url}

    folder = make_app().instance_path
    assert engine_of(make_app, **config("sqlite:///shop.db")).url.database == f"{folder}/shop.db"
    assert engine_of(make_app, **config("sqlite:////tmp/shop.db")).url.database == "/tmp/shop.db"
    assert engine_of(make_app, **config("sqlite://")).url.database.startswith("file:/")


def test_drivers_are_filled_in(make_app: MakeApp) -> None:
    url = make_url("postgres://user@db.example.com/shop?sslmode=require")
    found = engine_of(make_app, SQLALCHEMY_DATABASE_URI=url).url
    assert (found.drivername, found.query["ssl"]) == ("postgresql+asyncpg", "require")


def test_options_of_the_pool(make_app: MakeApp) -> None:
    def size(**config: Any) -> int:
        return int(engine_of(make_app, DATABASE_URL=SERVER, **config).engine.pool.size())

    assert size() == 10
    assert size(options={"pool_size": 3}) == 3
    assert size(options={"pool_size": 3}, SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 4}) == 4
    assert size(SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 4}, DATABASE_POOL_SIZE=5) == 5
    options = {"pool_timeout": 1, "connect_args": {"server_settings": {"jit": "off"}}}
    found = engine_of(make_app, options, DATABASE_URL=SERVER, SQLALCHEMY_ECHO=False)
    assert found.engine.pool._timeout == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "DATABASE_URL is required"),
        ({"DATABASE_URI": "sqlite://"}, "DATABASE_URI: is unknown; did you mean DATABASE_URL"),
        ({"SQLALCHEMY_DATABASE_URL": SERVER}, "did you mean SQLALCHEMY_DATABASE_URI"),
        ({"DATABASE_URL": "mysql://localhost/shop"}, "DATABASE_URL: .*PostgreSQL"),
        ({"DATABASE_URL": "sqlite://shop.db"}, "DATABASE_URL: expected three slashes"),
        ({"DATABASE_URL": 5}, "DATABASE_URL"),
        ({"DATABASE_URL": SERVER, "DATABASE_POOL_SIZE": "many"}, "DATABASE_POOL_SIZE"),
        ({"DATABASE_URL": SERVER, "SQLALCHEMY_DATABASE_URI": "sqlite://"}, "keep one"),
        ({"DATABASE_URL": SERVER, "SQLALCHEMY_BINDS": {"a": "sqlite://"}}, "SQLALCHEMY_BINDS"),
        ({"DATABASE_URL": SERVER, "SQLALCHEMY_TRACK_MODIFICATIONS": True}, "session events"),
        (
            {"DATABASE_URL": SERVER, "SQLALCHEMY_ENGINE_OPTIONS": {"max_overflow": 5}},
            "max_overflow are not supported",
        ),
        (
            {"DATABASE_URL": "sqlite://", "SQLALCHEMY_ENGINE_OPTIONS": {"connect_args": {}}},
            "connect_args",
        ),
        ({"DATABASE_URL": SERVER, "SQLALCHEMY_ENGINE_OPTIONS": [1]}, "expected a dict"),
    ],
)
def test_faults_are_named(make_app: MakeApp, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        engine_of(make_app, **config)
    assert "secret" not in str(raised.value)


def test_what_flask_sqlalchemy_needs_no_more_is_accepted(make_app: MakeApp) -> None:
    found = engine_of(make_app, DATABASE_URL=SERVER, SQLALCHEMY_TRACK_MODIFICATIONS=False)
    assert found.url == engine_of(make_app, DATABASE_URL=SERVER).url
