"""What the application makes on the disk, and what it says of settings that are dangerous."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings, kept_secret_keys
from quartapp.microblog.migrate import migrate
from quartapp.microblog.testing import create_tables
from quartapp.settings import ConfigurationError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_alembic_makes_a_database_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "instance" / "quartapp.db"
    migrate(f"sqlite:///{path}")
    assert [mode(path.parent), mode(path)] == [0o700, 0o600]


@pytest.mark.usefixtures("no_umask")
def test_the_folder_of_a_kept_key_is_its_owners_alone(tmp_path: Path) -> None:
    kept_secret_keys(tmp_path / "instance")
    assert mode(tmp_path / "instance") == 0o700


def test_a_key_that_cannot_be_kept_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"^INSTANCE_PATH: a secret key cannot be kept in"):
        kept_secret_keys(tmp_path / "file" / "instance")


async def test_a_start_takes_the_rights_of_others_from_the_instance_folder(
    settings: Settings,
) -> None:
    folder = settings.instance_path
    folder.mkdir()
    folder.chmod(0o755)
    app = create_app(settings)
    await create_tables(app)
    async with app.test_app():
        assert mode(folder) == 0o700


@pytest.mark.slow
@pytest.mark.parametrize("names", [(), ("example.com",)])
async def test_a_start_behind_a_proxy_warns_without_the_names_of_the_site(
    settings: Settings, caplog: pytest.LogCaptureFixture, names: tuple[str, ...]
) -> None:
    app = create_app(settings.model_copy(update={"proxy_hops": 1, "trusted_hosts": names}))
    await create_tables(app)
    async with app.test_app():
        warned = [line.getMessage() for line in caplog.records if line.levelname == "WARNING"]
        assert any("TRUSTED_HOSTS" in line for line in warned) == (not names)


@pytest.mark.parametrize(
    ("host", "status"),
    [("example.com", 200), ("example.com:8000", 200), ("a.example.org", 200), ("evil.com", 400)],
)
async def test_only_trusted_hosts_are_answered(
    settings: Settings, caplog: pytest.LogCaptureFixture, host: str, status: int
) -> None:
    names = ("example.com", ".example.org")
    client = create_app(settings.model_copy(update={"trusted_hosts": names})).test_client()
    answer = await client.get("/health", headers={"Host": host})
    assert answer.status_code == status
    assert [line for line in caplog.records if line.levelname == "ERROR"] == []
