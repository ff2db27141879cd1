"""What is measured, and what this project set itself to reach."""

from dataclasses import dataclass

from benchmarks.servers import QUARTAPP, TUNED, Server

SQLITE, BOTH = ("sqlite",), ("sqlite", "postgresql")


@dataclass(frozen=True)
class Scenario:
    """A path under load."""

    name: str
    path: str
    databases: tuple[str, ...] = SQLITE
    concurrencies: tuple[int, ...] = (16,)
    is_logged_in: bool = True
    fails: bool = False
    writes: bool = False


SCENARIOS = (
    Scenario("index", "/", BOTH, (16, 64)),
    Scenario("profile", "/user/alan_ash", BOTH),
    Scenario("api", "/api/posts", is_logged_in=False),
    Scenario("not_found", "/no-such-page", fails=True),
    Scenario("static", "/static/app.css", is_logged_in=False),
    Scenario("ping", "/ping", concurrencies=(16, 64), is_logged_in=False),
    Scenario("edit_profile", "/edit_profile", BOTH, writes=True),
    Scenario("error", "/boom", concurrencies=(16, 64), fails=True),
)

SPECIAL = {
    "storm": ("storm",),
    "start": ("start",),
    "bystanders": ("ping beside pages", "ping beside queries", "index beside queries"),
}
"""Other measurements, and the scenarios of their rows."""

SPECIAL_LOADS = {
    "sqlite": [("storm", 16), ("start", 1), ("bystanders", 8)],
    "postgresql": [("bystanders", 8)],
}

NAMES = (*(scenario.name for scenario in SCENARIOS), *SPECIAL)


def loads(database: str) -> list[tuple[str, int]]:
    """The names and numbers of clients of what is measured on a database, in their order."""
    pages = [
        (scenario.name, concurrency)
        for scenario in SCENARIOS
        if database in scenario.databases
        for concurrency in scenario.concurrencies
    ]
    return pages + SPECIAL_LOADS[database]


@dataclass(frozen=True)
class Aim:
    """What a row should show: at least `ratio` times the requests per second of `to`, at most
    `cpu_us` per request, and a p99 below `p99_ms`, or below that of the tuned version if it is 0.
    """

    page: str
    scenario: str
    database: str = "sqlite"
    pinned: bool = True
    concurrency: int = 16
    server: str = QUARTAPP
    ratio: float | None = None
    to: str = TUNED
    cpu_us: int | None = None
    p99_ms: float | None = 0
    cheaper_than: str = ""

    @property
    def where(self) -> str:
        parts = ["PostgreSQL"] if self.database == "postgresql" else []
        parts += [] if self.pinned else ["unpinned"]
        parts += [f"c={self.concurrency}"] if self.concurrency > 16 else []
        parts += [self.server.partition("-")[2]] if self.server != QUARTAPP else []
        return ", ".join(parts)


_FASTER = ("quartapp-uvicorn", "quartapp-granian")

AIMS = (
    Aim("index", "index", ratio=2.1, cpu_us=1550),
    Aim("index", "index", pinned=False, ratio=2.1, cpu_us=1700),
    Aim("index", "index", "postgresql", ratio=2.0, cpu_us=1700),
    Aim("profile", "profile", ratio=3.4, cpu_us=1300),
    Aim("profile", "profile", "postgresql", ratio=2.8, cpu_us=1700),
    Aim("edit_profile", "edit_profile", ratio=1.9, cpu_us=1250),
    Aim("edit_profile", "edit_profile", "postgresql", ratio=1.5, cpu_us=1650),
    Aim("error", "error", ratio=2.0, cpu_us=1200, cheaper_than="index"),
    Aim("error", "error", concurrency=64),
    Aim("not_found", "not_found", ratio=1.8, cpu_us=740),
    Aim("static", "static", ratio=1.2, cpu_us=410),
    Aim("ping", "ping", ratio=0.8, cpu_us=400),
    *(Aim("ping, uvicorn or granian", "ping", server=s, ratio=1.3, cpu_us=200) for s in _FASTER),
    Aim("start", "start", concurrency=1, ratio=0.9, p99_ms=None),
    *(
        Aim(name, name, "postgresql", concurrency=8, ratio=0.8, to="alone", p99_ms=50)
        for name in ("ping beside queries", "index beside queries")
    ),
)


def prepare(scenario: Scenario, server: Server, token: str) -> tuple[dict[str, str], str]:
    """The headers and the body to send."""
    if scenario.name == "api":
        return {"Authorization": f"Bearer {token}"}, ""
    if not scenario.is_logged_in:
        return {}, ""
    cookie = server.log_in()
    if not scenario.writes:
        return {"Cookie": cookie}, ""
    status, _, body = server.submit(scenario.path, cookie, username="susan", about_me="text")
    if status not in {302, 303}:
        raise RuntimeError(f"{server.name}: {scenario.name} was answered with {status}")
    kind = "application/x-www-form-urlencoded"
    return {"Cookie": cookie, "Content-Type": kind}, body.rpartition("&about_me=")[0]
