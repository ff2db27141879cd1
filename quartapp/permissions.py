"""Files and folders for their owner alone, whatever the umask of the process says."""

import os
import stat
from contextlib import suppress
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, each with mode 0700.

    A folder that exists keeps its mode. Raises OSError.
    """
    if folder.is_dir():
        return
    try:
        folder.mkdir(mode=0o700)
    except FileNotFoundError:
        make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        if not folder.is_dir():  # otherwise another process was faster
            raise
    hand_over(folder, folder.parent)


def make_private_file(path: Path) -> None:
    """Make an empty file with mode 0600 where there is none. Opens no file that exists.

    Raises OSError.
    """
    with suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            hand_over(handle, path.parent)
        finally:
            os.close(handle)


def make_private(path: str | Path) -> None:
    """Take the rights of all but the owner from a file or a folder that exists.

    It stays as it is if it belongs to another user, or is a folder that several users share (with
    the sticky bit, as /tmp).
    """
    with suppress(OSError):
        found = os.stat(path)
        is_shared = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_mode & _OTHERS and found.st_uid == os.geteuid() and not is_shared:
            os.chmod(path, stat.S_IMODE(found.st_mode) & ~_OTHERS)


def hand_over(made: int | Path, folder: Path) -> None:
    """Give a file that root made to the owner of its folder: a command run by root would otherwise
    leave files that the server can neither read nor remove."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(made, owner.st_uid, owner.st_gid)
