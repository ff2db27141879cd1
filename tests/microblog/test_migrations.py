"""The migrations, on both engines: up, without drift or loss of rows, and down again."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from quartapp.database import DatabaseEngine
from quartapp.database.migrations import lint
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.exceptions import UsernameTakenError
from quartapp.microblog.migrate import MIGRATIONS
from quartapp.microblog.models.user import update_user

ROOT = Path(__file__).parents[2]


@pytest.fixture
def alembic(each_database_url: str) -> Config:
    config = Config(ROOT / "alembic.ini")
    config.attributes["database_url"] = each_database_url
    return config


def in_database(url: str, work: Any) -> Any:
    async def run() -> Any:
        database = DatabaseEngine(url)
        async with database.engine.begin() as connection:
            result = await connection.run_sync(work)
        await database.dispose()
        return result

    return asyncio.run(run())


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


@pytest.mark.slow
def test_upgrades_without_drift_and_downgrades(each_database_url: str, alembic: Config) -> None:
    command.upgrade(alembic, "head")
    assert {"users", "posts", "followers", "api_tokens"} <= in_database(each_database_url, tables)
    command.check(alembic)
    command.downgrade(alembic, "base")
    assert in_database(each_database_url, tables) == {"alembic_version"}
    command.upgrade(alembic, "head")


def test_there_is_one_head(each_database_url: str, alembic: Config) -> None:
    assert len(ScriptDirectory.from_config(alembic).get_heads()) == 1


def test_versions_side_by_side_can_share_what_later_migrations_do(settings: Settings) -> None:
    """Those until 0009 are older than the rules (docs/update.md#two-versions-side-by-side)."""
    assert lint(create_app(settings), "0009:head") == []


EXPAND = """
import sqlalchemy as sa
from alembic import op

from quartapp.database.migrations import outside_transaction

revision = "9999"
down_revision = {head!r}


def upgrade():
    for table in ("users", "posts", "logins", "error_groups"):
        op.add_column(table, sa.Column("later", sa.Text(), nullable=True))
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    with outside_transaction():
        op.create_index("ix_users_later", "users", ["later"], postgresql_concurrently=True)
"""


@pytest.mark.slow
async def test_this_version_serves_with_the_tables_of_a_later_one(
    each_database_url: str, alembic: Config, tmp_path: Path, settings: Settings
) -> None:
    """`make side-by-side` proves it with the version before and this one."""
    await asyncio.to_thread(command.upgrade, alembic, "head")
    app = create_app(settings.model_copy(update={"database_url": each_database_url}))
    async with app.test_app():
        client = app.test_client()
        person = {"username": "susan", "email": "s@example.com", "password": "cat-on-the-mat"}
        assert (await client.post("/api/users", json=person)).status_code == 201
        (tmp_path / "9999.py").write_text(
            EXPAND.format(head=ScriptDirectory.from_config(alembic).get_current_head())
        )
        alembic.set_main_option("version_locations", f"{MIGRATIONS / 'versions'}:{tmp_path}")
        await asyncio.to_thread(command.upgrade, alembic, "head")
        # Statements that were prepared before the upgrade, and a login as everybody else's.
        person |= {"username": "mary", "email": "m@example.com"}
        assert (await client.post("/api/users", json=person)).status_code == 201
        basic = client.post("/api/tokens", auth=("susan", "cat-on-the-mat"))
        headers = {"Authorization": f"Bearer {(await (await basic).get_json())['token']}"}
        posted = await client.post("/api/posts", json={"body": "Hello"}, headers=headers)
        assert posted.status_code == 201
        assert (await client.get("/api/posts", headers=headers)).status_code == 200
        assert (await client.get("/ready")).status_code == 200


def test_a_table_that_is_made_anew_keeps_what_points_to_it(
    each_database_url: str, alembic: Config, tmp_path: Path
) -> None:
    """SQLite's batch mode drops a table, and a cascade would delete the rows that refer to it."""
    command.upgrade(alembic, "head")
    in_database(each_database_url, add_a_person_with_a_post)
    versions = tmp_path / "versions"
    versions.mkdir()
    head = ScriptDirectory.from_config(alembic).get_current_head()
    (versions / "9999_rebuild.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = '9999'\ndown_revision = {head!r}\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('users', recreate='auto') as batch:\n"
        "        batch.alter_column('about_me', type_=sa.String(200))\n"
        "def downgrade():\n    pass\n"
    )
    alembic.set_main_option("version_locations", f"{MIGRATIONS / 'versions'}:{versions}")
    command.upgrade(alembic, "9999")
    assert in_database(each_database_url, count_posts) == 1


@pytest.mark.slow
def test_people_whose_names_look_alike_keep_them(each_database_url: str, alembic: Config) -> None:
    command.upgrade(alembic, "0005")
    names = ("susan", "Susan", "mary\ufe0f", "s\u0443san", "mary", "ali")
    in_database(each_database_url, partial(add_people, names=names))
    command.upgrade(alembic, "head")
    rows = "SELECT username, skeleton, folded_skeleton FROM users ORDER BY id"
    assert in_database(each_database_url, partial(rows_of, statement=rows)) == [
        ("susan", "susan", "susan"),
        ("Susan", None, None),
        ("mary\ufe0f", "rnary", "rnary"),
        ("s\u0443san", "sysan", "sysan"),
        ("mary", None, None),
        ("ali", "ali", "ali"),
    ]
    asyncio.run(change_second_person(each_database_url))
    command.check(alembic)
    command.downgrade(alembic, "0005")
    kept = in_database(
        each_database_url, partial(rows_of, statement="SELECT username FROM users ORDER BY id")
    )
    assert kept == [(name,) for name in ("susan", "sue", *names[2:])]


async def change_second_person(url: str) -> None:
    """She keeps her name while she changes other things; a new name is compared."""
    database = DatabaseEngine(url)
    async with database.session() as session:
        await update_user(session, 2, username="Susan", about_me="Still me")
        with pytest.raises(UsernameTakenError):
            await update_user(session, 2, username="SUSAN")
        await update_user(session, 2, username="sue")
        with pytest.raises(UsernameTakenError):
            await update_user(session, 1, username="SUE")
    await database.dispose()


def add_people(connection: Connection, names: Sequence[str]) -> None:
    now = "2030-01-01 00:00:00+00"
    for number, name in enumerate(names, 1):
        connection.execute(
            text(
                "INSERT INTO users (id, username, email, password_hash, about_me, created_at,"
                f" last_seen, is_admin, login_epoch) VALUES ({number}, :name,"
                f" 'p{number}@example.com', '', '', '{now}', '{now}', false, 0)"
            ),
            {"name": name},
        )


def rows_of(connection: Connection, statement: str) -> list[Any]:
    return [tuple(row) for row in connection.execute(text(statement))]


def add_a_person_with_a_post(connection: Connection) -> None:
    now = "2030-01-01 00:00:00+00"
    connection.execute(
        text(
            "INSERT INTO users (id, username, email, password_hash, about_me, created_at,"
            " last_seen, is_admin, login_epoch)"
            f" VALUES (1, 'susan', 's@example.com', '', '', '{now}', '{now}', false, 0)"
        )
    )
    connection.execute(
        text(f"INSERT INTO posts (id, body, timestamp, user_id) VALUES (1, 'b', '{now}', 1)")
    )


def count_posts(connection: Connection) -> Any:
    return connection.execute(text("SELECT count(*) FROM posts")).scalar()


def test_the_command_line_needs_no_secret_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'command.db'}")
    monkeypatch.chdir(tmp_path)
    command.upgrade(Config(ROOT / "alembic.ini"), "head")
    assert (tmp_path / "command.db").exists()


def test_sql_is_printed_offline(alembic: Config, capsys: pytest.CaptureFixture[str]) -> None:
    command.upgrade(alembic, "head", sql=True)
    assert "CREATE TABLE users" in capsys.readouterr().out
