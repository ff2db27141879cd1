"""`python -m tests.system.keep [--seconds S]`: backups while clients of a server write.

On SQLite, and on PostgreSQL with QUARTAPP_TEST_POSTGRESQL. It holds if each backup, restored into
another database, has every post that was acknowledged before `quart db backup` was called, and of
each transaction all or nothing; and if a backup on a full disk leaves nothing.
"""

import argparse
import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from tests.conftest import DROP, POSTGRESQL, execute, free_databases, new_postgresql
from tests.system.faults.full_disk import CannotMountError
from tests.system.keep.full_disk import fault_of_a_full_disk
from tests.system.keep.run import run_served


async def keep(folder: Path, seconds: float) -> list[str]:
    faults = []
    urls = [(f"sqlite:///{folder / 'app.db'}", f"sqlite:///{folder / 'restored.db'}")]
    async with AsyncExitStack() as stack:
        if POSTGRESQL:
            made = [await stack.enter_async_context(new_postgresql()) for _ in range(2)]
            urls.append((made[0], made[1]))
        for number, (url, restored) in enumerate(urls):
            place = folder / f"{number}"
            place.mkdir()
            outcome = await run_served(place, url, restored, seconds, say=print)
            faults += [f"{url.partition(':')[0]}: {fault}" for fault in outcome.faults]
    if free_databases:
        await execute(*map(DROP.format, free_databases))
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.keep")
    parser.add_argument("--seconds", type=float, default=30, help="of writing, for each database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        faults = asyncio.run(keep(Path(folder), options.seconds))
        try:
            faults += fault_of_a_full_disk(Path(folder))
        except CannotMountError as error:
            print(f"a full disk was not tried: {error}")
    print("held" if not faults else "BROKEN: " + "; ".join(faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
