"""A backup on a disk of 64 KB."""

import sqlite3
from contextlib import closing
from pathlib import Path

from quartapp.database.backups import sqlite
from quartapp.database.backups.files import BackupError, Deadline
from tests.system.faults.full_disk import tell


def fault_of_a_full_disk(folder: Path) -> list[str]:
    """What is wrong with what it leaves and says. Raises CannotMountError."""
    disk, database = folder / "disk", folder / "large.db"
    disk.mkdir()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE large AS SELECT randomblob(1000000) AS data")
        connection.commit()
    tell("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk))
    try:
        said = ""
        try:
            sqlite.back_up(database, disk / "large.sqlite", Deadline(10), lambda left, all: None)
        except BackupError as error:
            said = error.message
        print(f"on a full disk: {said}")
        left = [path.name for path in disk.iterdir()]
    finally:
        tell("umount", str(disk))
    return [] if "the disk is full" in said and not left else [f"full disk: {said!r}, {left}"]
