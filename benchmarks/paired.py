"""This checkout against another commit: `make compare BASE=<commit> [PAIRED="--rounds 10"]`.

The base is checked out into a temporary worktree, with this environment if the locked libraries are
the same and one of its own otherwise. Each checkout serves a database of its own, made by its own
code, and both are loaded in turn, A B, B A, in many short rounds. It prints the CPU time per
request of both over the network, the median of the ratios of the rounds with their middle half, and
both p99. CPU time is what counts on a machine that is not idle; below 1.00, this checkout is
cheaper.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.databases import created, seed
from benchmarks.load import Measurement, beside, press
from benchmarks.scenarios import SCENARIOS, Scenario, prepare
from benchmarks.servers import QUARTAPP, ROOT, Server

WITHOUT_TOKEN = [scenario.name for scenario in SCENARIOS if scenario.name != "api"]
BESIDE = "ping_beside_pages"
"""/ping from 8 clients beside 64 on the index."""


def main() -> None:
    options = _options()
    with ExitStack() as stack:
        roots = {"base": stack.enter_context(worktree(options.base)), "here": ROOT}
        servers = {}
        for name, root in roots.items():
            python = _python(root)
            url = stack.enter_context(created(options.database))
            seed(url, 1000, options.posts, root, python)
            started = Server(QUARTAPP, url, pinned=not options.unpinned, root=root, python=python)
            servers[name] = stack.enter_context(started)
        print("| scenario | base µs | here µs | ratio | middle half | base p99 ms | here p99 ms |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        for name in options.scenarios:
            print(_line(name, measure(name, servers, options)), flush=True)


def measure(
    name: str, servers: dict[str, Server], options: argparse.Namespace
) -> dict[str, list[Measurement]]:
    """Both servers in turn; a first round of each warms its caches."""
    found: dict[str, list[Measurement]] = {each: [] for each in servers}
    for number in range(-1, options.rounds):
        for each in servers if number % 2 == 0 else reversed(servers):
            one = _round(name, servers[each], options)
            if one.errors:
                sys.exit(f"{name}, {each}: {one.errors} unexpected errors")
            if number >= 0:
                found[each].append(one)
    return found


def _round(name: str, server: Server, options: argparse.Namespace) -> Measurement:
    if name == BESIDE:
        with beside(server, "/", 64, {"Cookie": server.log_in()}):
            return press(server, "/ping", 8, options.seconds, {})
    scenario: Scenario = next(each for each in SCENARIOS if each.name == name)
    headers, body = prepare(scenario, server, "")
    load = scenario.path, options.clients, options.seconds
    return press(server, *load, headers, body=body, fails=scenario.fails)


def _line(name: str, found: dict[str, list[Measurement]]) -> str:
    base, here = found["base"], found["here"]
    ratios = [new.cpu_us / old.cpu_us for old, new in zip(base, here, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    cpu = [statistics.median(each.cpu_us for each in rounds) for rounds in (base, here)]
    p99 = [statistics.median(each.p99_ms for each in rounds) for rounds in (base, here)]
    return (
        f"| {name} | {cpu[0]:.0f} | {cpu[1]:.0f} | {middle:.3f} | {low:.3f} to {high:.3f} "
        f"| {p99[0]:.1f} | {p99[1]:.1f} |"
    )


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """A checkout of a commit, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="quartapp-base-"))
    git = ["git", "-C", str(ROOT), "worktree"]
    try:
        subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit], check=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([*git, "prune"], check=True)


def _python(root: Path) -> str:
    """This Python, or one with the libraries that a checkout locks, and its entry points."""
    if _environment(root) == _environment(ROOT):
        return sys.executable
    print(f"Installing the libraries of {root}", flush=True)
    command = ["make", "-C", str(root), "install-server", f"PYTHON={sys.executable}"]
    subprocess.run(command, check=True, capture_output=True)
    return str(root / ".venv/bin/python")


def _environment(root: Path) -> object:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return (root / "requirements.lock").read_bytes(), project["entry-points"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paired")
    parser.add_argument("base", help="the commit to compare with")
    names = [*WITHOUT_TOKEN, BESIDE]
    parser.add_argument("--scenarios", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--posts", type=int, default=50_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--unpinned", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
