"""Files and folders are their owner's alone, whatever the umask says."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from quartapp.database import DatabaseEngine
from quartapp.permissions import make_private, make_private_file, make_private_folder
from tests.shop.app import create_app, create_tables


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True, params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_every_missing_folder_is_private_and_no_other_is_changed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "a" / "b")
    make_private_folder(tmp_path / "a" / "b")
    assert [mode(tmp_path / name) for name in ("", "a", "a/b")] == [0o755, 0o700, 0o700]


def test_what_is_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in ("file", "file/below"):
        with pytest.raises(OSError, match="file"):
            make_private_folder(tmp_path / path)


def test_a_file_is_made_and_an_existing_one_is_not_touched(tmp_path: Path) -> None:
    make_private_file(tmp_path / "new")
    assert mode(tmp_path / "new") == 0o600
    (tmp_path / "old").write_text("kept")
    make_private_file(tmp_path / "old")
    assert (tmp_path / "old").read_text() == "kept"


def test_the_rights_of_others_are_taken_where_they_are_ours_to_take(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o644)
    for name, before, after in (("file", 0o664, 0o600), ("folder", 0o755, 0o700)):
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / name).chmod(before)
        make_private(tmp_path / name)
        assert mode(tmp_path / name) == after
    (tmp_path / "folder").chmod(0o1777)
    make_private(tmp_path / "folder")
    assert mode(tmp_path / "folder") == 0o1777, "a folder that users share, as /tmp"
    make_private(tmp_path / "missing")


@pytest.mark.parametrize("exists", [False, True])
async def test_a_database_and_its_log_are_private(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "folder" / "x.db"
    if exists:
        path.parent.mkdir()
        for name in ("x.db", "x.db-wal", "x.db-shm"):
            (path.parent / name).touch()
            (path.parent / name).chmod(0o644)
    database = DatabaseEngine(f"sqlite:///{path}")
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE x (y)")
        for name in ("x.db", "x.db-wal", "x.db-shm"):
            assert mode(path.parent / name) == 0o600, name
    if not exists:
        assert mode(path.parent) == 0o700
    await database.dispose()


async def test_what_reporting_and_the_log_make_is_for_no_others(tmp_path: Path) -> None:
    app = create_app(tmp_path, f"sqlite:///{tmp_path / 'x.db'}")
    await create_tables(app)
    (tmp_path / "instance" / "journal").mkdir(parents=True)
    (tmp_path / "instance" / "journal").chmod(0o755)
    async with app.test_app():
        assert (await app.test_client().get("/boom")).status_code == 500
        modes = {path: mode(path) for path in (tmp_path / "instance").rglob("*")}
        assert any(path.suffix == ".journal" for path in modes)
        assert [path for path in modes if modes[path] & 0o077] == []
    for handler in logging.getLogger(app.name).handlers:
        handler.flush()
    for path in (tmp_path / "logs", *(tmp_path / "logs").iterdir()):
        assert mode(path) & 0o007 == 0, path
