"""Migrations that a test writes."""

from collections.abc import Callable
from pathlib import Path

import pytest

VERSION = """
import time

import sqlalchemy as sa
from alembic import op

from quartapp.database.migrations import outside_transaction

revision = "{revision}"
down_revision = {before!r}


def upgrade() -> None:
    {body}


def downgrade() -> None:
    {undo}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`write(body, body, wait=1.0)` writes migrations `a`, `b` ... and their environment."""
    monkeypatch.chdir(tmp_path)

    def write_all(*bodies: str, undo: str = "pass", **options: float) -> None:
        versions = tmp_path / "migrations" / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        (tmp_path / "migrations" / "env.py").write_text(
            f"from quartapp.database.migrations import environment\nenvironment.run(**{options})\n"
        )
        before = None
        for revision, body in zip("abcdef", bodies, strict=False):
            file = VERSION.format(revision=revision, before=before, body=body, undo=undo)
            (versions / f"{revision}.py").write_text(file)
            before = revision

    return write_all
