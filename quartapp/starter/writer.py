"""Writing the application: all of its files, or none."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

TEMPLATE = Path(__file__).with_name("template")
MIGRATIONS = Path(__file__).parents[1] / "database" / "migrations" / "template"

_NAME = "myapp"

# Under their own names, tools would take the template for a project of its own.
_RENAMED = {
    "env.example": ".env.example",
    "gitignore": ".gitignore",
    "project.toml": "pyproject.toml",
}


def write(name: str, target: Path) -> None:
    """Write the application into a folder, which may exist if it is empty.

    The folder appears at once and complete. Raises OSError, and leaves nothing behind.
    """
    temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target.parent))
    try:
        for path, text in _files(name):
            file = temporary / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        (temporary / ".env").chmod(0o600)
        temporary.chmod(0o777 & ~_umask())
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _files(name: str) -> Iterator[tuple[str, str]]:
    for file in sorted(TEMPLATE.rglob("*")):
        if file.is_file() and file.suffix != ".pyc":  # an installation compiles all modules
            path = file.relative_to(TEMPLATE).as_posix().replace(_NAME, name)
            text = file.read_text(encoding="utf-8").replace(_NAME, name)
            if path == "env.example":
                own = text.replace("Copy this file to .env.", "The settings of this machine.")
                yield ".env", own.replace("SECRET_KEY=\n", f"SECRET_KEY={secrets.token_hex()}\n")
            yield _RENAMED.get(path, path), text
    for file in sorted(MIGRATIONS.iterdir()):  # as `quart db init` writes them
        yield f"migrations/{file.name.removesuffix('.txt')}", file.read_text(encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
