"""The cost of recording an error: `python -m benchmarks.reporting_capture`.

A view of a Quart application inserts a name twice, so that the error is a real IntegrityError from
the driver through SQLAlchemy, greenlets, the view and the framework. It compares the standard
library's traceback, the same with locals, our report with its JSON, and the fingerprint alone,
which is the usual cost of an error that is already known. Then the recorder with the journal on a
real disk, in CPU time: the first occurrence of an error, and a repeated one. The budgets: a median
of 0.3 ms and a 99th percentile of 1 ms for a new error, 50 us for a repeated one. What a storm of
errors costs other requests is measured by `make bench SCENARIO=storm`.
"""

import argparse
import asyncio
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

from quart import Quart
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp.redact.context import Context
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.capture.builder import capture
from quartapp.reporting.capture.fingerprint import fingerprint
from quartapp.reporting.hooks.request_context import request_context
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin

PASSWORD = "correct horse battery staple"


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]


async def integrity_error() -> BaseException:
    """The error of a second registration with the same name, as it left the view."""
    caught: list[BaseException] = []
    app = Quart(__name__)
    engine = create_async_engine("sqlite+aiosqlite://")

    async def register(session: AsyncSession, username: str, password: str) -> None:
        session.add(Person(username=username, password_hash=password))
        await session.commit()

    @app.post("/register/<username>")
    async def view(username: str) -> str:
        form = {"username": username, "password": PASSWORD, "remember": "on"}
        async with AsyncSession(engine) as session:
            await register(session, username, form["password"])
        return "done"

    @app.errorhandler(IntegrityError)
    async def keep(error: IntegrityError) -> tuple[str, int]:
        caught.append(error)
        return "again", 500

    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    client = app.test_client()
    for _ in range(2):
        await client.post("/register/susan")
    await engine.dispose()
    return caught[0]


def with_stdlib(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def with_stdlib_and_locals(error: BaseException) -> str:
    lines = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(lines.format())


def measured(function: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds of each call, after a few that warm the caches."""
    for _ in range(10):
        function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1000)
    return times


class Sockets:
    """Counts sockets and statements; recording must use neither."""

    def __init__(self) -> None:
        # After the timing, because an audit hook cannot be removed and slows down reading frames.
        self.events = 0
        self.on = True
        sys.addaudithook(self._hook)

    def _hook(self, event: str, _: object) -> None:
        if self.on and event.startswith(("socket.", "sqlite3.")):
            self.events += 1


def recording(error: BaseException, rounds: int) -> None:
    with tempfile.TemporaryDirectory(dir=Path(__file__).parents[1]) as folder:
        clock = [time.time()]
        journal = Journal(Path(folder), max_bytes=1 << 40, reports_bytes=1 << 40)
        recorder = Recorder(
            journal,
            places=Places(Path(__file__).parent),
            origin=lambda: Origin("production", "v1", "host", "1"),
            scrubber=Scrubber(),
            clock=lambda: clock[0],
        )
        context = request_context("request", lambda: "7")
        new: list[float] = []
        repeated: list[float] = []
        for number in range(rounds):
            clock[0] += 61  # a new minute: a full report again
            new.append(timed(recorder, error, context))
            if number % 10 == 0:
                for _ in range(5):
                    timed(recorder, error, context)
                repeated += [timed(recorder, error, context) for _ in range(50)]
        watch = Sockets()
        clock[0] += 61
        for _ in range(10):
            timed(recorder, error, context)
        watch.on = False
        journal.close()
    print(f"new error       p50 {median(new) * 1e3:6.3f} ms   p99 {last(new) * 1e3:6.3f} ms")
    print(
        f"repeated error  p50 {median(repeated) * 1e6:6.1f} us   p99 {last(repeated) * 1e6:6.1f} us"
    )
    print(f"sockets and statements while recording: {watch.events}")


def timed(recorder: Recorder, error: BaseException, context: Context) -> float:
    """Seconds of CPU time, so that other work on the machine does not count."""
    began = time.thread_time()
    recorder.record(error, lambda: context)
    return time.thread_time() - began


def last(times: list[float]) -> float:
    return quantiles(times, n=100)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    rounds = parser.parse_args().rounds

    error = asyncio.run(integrity_error())
    places = Places(Path(__file__).parent)
    scrubber = Scrubber(
        known=["a-secret-key-of-the-application", "the-password-of-the-mail-server"]
    )
    context = Context(
        method="POST",
        route="/register/<username>",
        url="http://localhost/register/susan?next=%2Findex",
        headers=[("Host", "localhost"), ("Cookie", "session=eyJhbGciOi.J9eyJzdWIi.dQssw5c")],
        form={"username": "susan", "password": PASSWORD},
    )

    def report() -> str:
        return capture(
            error, context, now=0.0, places=places, origin=Origin(), scrubber=scrubber
        ).report.to_json()

    frames = len(list(traceback.walk_tb(error.__traceback__)))
    whole = frames + sum(
        len(list(traceback.walk_tb(cause.__traceback__)))
        for cause in (error.__cause__, error.__context__)
        if cause is not None
    )
    print(f"Python {platform.python_version()}, {type(error).__name__} with {frames} frames")
    print(f"({whole} with the exception behind it), {rounds} rounds\n")
    rows: list[tuple[str, Callable[[], str]]] = [
        ("standard library", lambda: with_stdlib(error)),
        ("standard library with locals", lambda: with_stdlib_and_locals(error)),
        ("report, scrubbed, as JSON", report),
        ("fingerprint (a repeated error)", lambda: fingerprint(error, places)),
    ]
    print(f"{'':32}{'p50 ms':>10}{'p99 ms':>10}{'bytes':>10}  password in it")
    for name, function in rows:
        times = measured(function, rounds)
        text = function()
        print(
            f"{name:32}{median(times):10.3f}{quantiles(times, n=100)[98]:10.3f}{len(text):10}"
            f"  {'YES' if PASSWORD in text else 'no'}"
        )
    recording(error, rounds)


if __name__ == "__main__":
    main()
