"""The journal's folder under a running server."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.system.faults.table.row import Fault
from tests.system.faults.table.site import Site


@asynccontextmanager
async def removed(site: Site) -> AsyncIterator[None]:
    shutil.rmtree(site.journal)
    yield


@asynccontextmanager
async def renamed(site: Site) -> AsyncIterator[None]:
    site.journal.rename(site.journal.with_name("elsewhere"))
    yield


@asynccontextmanager
async def odd_names(site: Site) -> AsyncIterator[None]:
    """A FIFO, a folder, a link, a name that is not UTF-8, and a file that is no segment."""
    journal = site.journal
    os.mkfifo(journal / "0-fifo.journal")
    (journal / "0-folder.journal").mkdir()
    (journal / "0-link.journal").symlink_to("/dev/zero")
    os.close(os.open(os.fsencode(journal) + b"/0-\xff\xfe.journal", os.O_CREAT | os.O_WRONLY))
    (journal / "0-1-aa.journal").write_bytes(b"[" * 100_000)
    yield


_NOT_RESTORED = {"WITHOUT": "restoring"}

FAULTS = (
    Fault("the journal is removed", "rm -r of its folder", removed, without=_NOT_RESTORED),
    Fault("the journal is renamed", "mv of its folder", renamed, without=_NOT_RESTORED),
    Fault(
        "odd files in the journal",
        "a FIFO, a folder, a link, bytes as a name",
        odd_names,
        without={"WITHOUT": "counting"},
    ),
)
