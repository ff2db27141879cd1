"""What is measured: the rows of the table."""

from dataclasses import dataclass

from benchmarks.servers import Server


@dataclass(frozen=True)
class Scenario:
    """A path under load; `reach` is the aim for the ratio to the tutorial's version."""

    name: str
    path: str
    reach: dict[int, float]
    databases: tuple[str, ...] = ("sqlite", "postgresql")
    concurrencies: tuple[int, ...] = (16, 64)
    is_logged_in: bool = True
    fails: bool = False
    writes: bool = False


SCENARIOS = (
    Scenario("index", "/", {16: 3.0, 64: 2.8}),
    Scenario("profile", "/user/alan_ash", {16: 3.0, 64: 2.8}),
    Scenario("api", "/api/posts", {16: 1.9, 64: 1.9}, is_logged_in=False),
    Scenario("not_found", "/no-such-page", {16: 1.4, 64: 1.4}, ("sqlite",), fails=True),
    Scenario("error", "/boom", {16: 1.7, 64: 1.7}, ("sqlite",), fails=True),
    Scenario("edit_profile", "/edit_profile", {16: 3.0}, concurrencies=(16,), writes=True),
    Scenario("static", "/static/app.css", {16: 1.0, 64: 1.0}, ("sqlite",), is_logged_in=False),
    Scenario("ping", "/ping", {16: 1.4, 64: 1.4}, ("sqlite",), is_logged_in=False),
)

REACH_POSTGRESQL = {("edit_profile", 16): 1.8}
REACH_ELSEWHERE = {"storm": 0.97, "slow_database": 3.0, "start": 1.2}

ALL = (*(scenario.name for scenario in SCENARIOS), "storm", "slow_database", "start")


def reach(scenario: str, database: str, concurrency: int) -> float | None:
    """The aim of a row: a ratio to the tutorial's version; for `storm`, to the page without it."""
    if scenario in REACH_ELSEWHERE:
        return REACH_ELSEWHERE[scenario]
    if database == "postgresql" and (scenario, concurrency) in REACH_POSTGRESQL:
        return REACH_POSTGRESQL[scenario, concurrency]
    return next(each.reach.get(concurrency) for each in SCENARIOS if each.name == scenario)


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
