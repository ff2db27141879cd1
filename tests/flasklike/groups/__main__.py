"""`python -m tests.flasklike.groups [--seed N] [--count N]`: compare generated groups."""

import asyncio
import random
import sys

from tests.flasklike.groups.trees import Trial, tree


async def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    first = int(options.get("--seed", random.SystemRandom().randrange(10**9)))
    count = int(options.get("--count", 20_000))
    print(f"{count} groups from seed {first}", flush=True)
    different = 0
    for seed in range(first, first + count):
        difference = (await Trial(tree(seed)).run()).difference()
        if difference:
            different += 1
            print(f"seed {seed}: {tree(seed)}\n{difference}\n")
            if different == 3:
                break
    print(f"{different} differ")
    return 1 if different else 0


sys.exit(asyncio.run(main(sys.argv[1:])))
