"""One scenario under one load: quartapp and the versions on Flask, in turn."""

from collections.abc import Callable

from benchmarks.load import Measurement, press
from benchmarks.results import Row, add_ratios, row
from benchmarks.scenarios import Scenario, prepare
from benchmarks.servers import QUARTAPP, TUNED, TWINS, Server, Servers

THREADS = {16: (4, 16), 64: (4, 16, 64)}
"""Of which the best is chosen, by the number of clients. Not a single thread: it would serve nobody
while one request waits."""

EQUAL_MEMORY = "flask-tuned-equal-memory"
PROBE_SECONDS = 1


def measure_cell(
    scenario: Scenario,
    database: str,
    concurrency: int,
    servers: Servers,
    names: tuple[str, ...],
    rounds: int,
    seconds: int,
) -> list[Row]:
    """The rows of the servers, measured A B C, C B A, A B C. Called again, it adds rounds.

    The twins have the number of threads that serves them best. If the tuned one then needs more
    memory than quartapp, it is also measured with the best number that needs no more. The
    tutorial's is measured where `compared` says so.
    """

    def once(server: Server, seconds: int) -> Measurement:
        headers, body = prepare(scenario, server, servers.token)
        path, fails = scenario.path, scenario.fails
        return press(server, path, concurrency, seconds, headers, body=body, fails=fails)

    def begin() -> dict[str, Server]:
        chosen = {name: servers.get(name) for name in names}
        for server in chosen.values():
            once(server, PROBE_SECONDS)
        most = chosen[QUARTAPP].memory_bytes()
        for twin in compared(servers, concurrency):
            choice = [servers.get(twin, threads) for threads in THREADS[concurrency]]
            chosen |= choose(twin, choice, lambda server: once(server, PROBE_SECONDS).rps, most)
        return chosen

    key = scenario.name, concurrency
    chosen = servers.chosen[key] = servers.chosen.get(key) or begin()
    measured = servers.measured.setdefault(key, {label: [] for label in chosen})
    for number in range(rounds):
        for label in chosen if number % 2 == 0 else reversed(chosen):
            measured[label].append(once(chosen[label], seconds))
    return add_ratios(
        [
            row(scenario.name, database, concurrency, server, measured[label], label)
            for label, server in chosen.items()
        ]
    )


def compared(servers: Servers, concurrency: int = 16) -> tuple[str, ...]:
    """The tuned twin, and for the most usual load the tutorial's."""
    return TWINS if servers.pinned and concurrency <= 16 else (TUNED,)


def choose(
    twin: str, choice: list[Server], rps: Callable[[Server], float], most: int
) -> dict[str, Server]:
    """The server that answers the most requests, and the best with at most so much memory."""
    tried = {server: rps(server) for server in choice}
    best = max(tried, key=lambda server: tried[server])
    if twin != TUNED or best.memory_bytes() <= most:
        return {twin: best}
    fitting = [server for server in choice if server.memory_bytes() <= most]
    smallest = [min(choice, key=lambda server: server.memory_bytes())]
    return {twin: best, EQUAL_MEMORY: max(fitting or smallest, key=lambda server: tried[server])}
