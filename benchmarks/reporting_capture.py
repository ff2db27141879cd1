"""The cost of recording an error: `python -m benchmarks.reporting_capture`.

A view of a Quart application inserts a name twice, so that the error is a real IntegrityError from
the driver through SQLAlchemy, greenlets, the view and the framework. It compares the standard
library's traceback, the same with locals, our report with its JSON, and the fingerprint alone,
which is the usual cost of an error that is already known.
"""

import argparse
import asyncio
import platform
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


if __name__ == "__main__":
    main()
