"""Run many specifications and report the first that differs."""

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.system.parity.compare import Comparison, compare
from tests.system.parity.generate import generate
from tests.system.parity.shrink import shrink
from tests.system.parity.sides import FLASK, FLASKLIKE, Side
from tests.system.parity.specification import Spec


@dataclass(frozen=True)
class Failure:
    seed: int
    spec: Spec
    comparison: Comparison

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: the sides differ on\n\n{self.spec}\n\n"
            f"(- {FLASK.name} only, + {FLASKLIKE.name} only)\n{self.comparison.report()}"
        )


@dataclass
class Result:
    specifications: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


async def campaign(
    seeds: Iterable[int],
    oracle: Side = FLASK,
    subject: Side = FLASKLIKE,
    stop_after: int = 1,
    progress: Callable[[Result], None] | None = None,
    shrunk: bool = True,
) -> Result:
    """Compare the specification of each seed until `stop_after` of them differ."""
    result = Result()
    for seed in seeds:
        spec = generate(seed)
        comparison = await compare(spec, oracle, subject)
        result.specifications += 1
        result.marks += comparison.marks
        if comparison.differs:
            failure = Failure(seed, spec, comparison)
            if shrunk:
                failure = await explain(failure, oracle, subject)
            result.failures.append(failure)
            if len(result.failures) >= stop_after:
                break
        if progress:
            progress(result)
    return result


async def explain(failure: Failure, oracle: Side, subject: Side) -> Failure:
    """The same failure, with the smallest specification found."""

    async def fails(candidate: Spec) -> bool:
        return (await compare(candidate, oracle, subject)).differs

    smallest = await shrink(failure.spec, fails)
    comparison = await compare(smallest, oracle, subject)
    # What does not differ a second time depended on the time, or on what ran before.
    return Failure(failure.seed, smallest, comparison) if comparison.differs else failure


def main(arguments: list[str]) -> int:
    """Compare what the arguments say; returns the exit code."""
    parser = argparse.ArgumentParser("python -m tests.system.parity", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first specification; random if not given")
    parser.add_argument("--count", type=int, help="20,000, or 1 with a seed")
    parser.add_argument("--failures", type=int, default=1, help="stop after as many differences")
    options = parser.parse_args(arguments)
    first = options.seed
    if first is None:
        first = random.SystemRandom().randrange(10**9)
    count = options.count or (20_000 if options.seed is None else 1)
    started = time.monotonic()
    print(f"{count} specifications from seed {first}", flush=True)

    def progress(result: Result) -> None:
        if result.specifications % 1000 == 0:
            elapsed = time.monotonic() - started
            print(f"{result.specifications:7} in {elapsed:5.0f} s", flush=True)

    seeds = range(first, first + count)
    result = asyncio.run(campaign(seeds, stop_after=options.failures, progress=progress))
    for failure in result.failures:
        print(failure, end="\n\n")
    print(f"{result.specifications} specifications, {len(result.failures)} differ")
    return 1 if result.failures else 0
