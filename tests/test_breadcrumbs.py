"""The log lines and statements of a request."""

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from quartapp import breadcrumbs
from quartapp.breadcrumbs import MAX_ENTRIES, MAX_TEXT, collecting
from quartapp.database import DatabaseEngine

logger = logging.getLogger("tests.breadcrumbs")


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    logger.setLevel(logging.INFO)
    breadcrumbs.install()
    yield
    breadcrumbs.uninstall()


@pytest.mark.lenient("errors")
def test_lines_that_the_loggers_pass_with_level_and_time() -> None:
    with collecting() as ring:
        logger.debug("too fine")
        logger.info("paid %d of %s", 3, "susan")
        logger.error("refused")

    one, two = ring.entries()
    assert (one.kind, one.level, one.logger) == ("log", "INFO", "tests.breadcrumbs")
    assert [one.text, two.text] == ["paid 3 of susan", "refused"]
    assert 0 <= one.seconds <= two.seconds < 60


def test_a_logger_that_does_not_propagate_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logger, "propagate", False)
    with collecting() as ring:
        logger.info("heard")

    assert [entry.text for entry in ring.entries()] == ["heard"]


def test_nothing_is_installed_before_it_is_asked_for() -> None:
    breadcrumbs.uninstall()
    factory = logging.getLogRecordFactory()
    with collecting() as ring:
        logger.info("unheard")

    assert factory is logging.LogRecord
    assert ring.entries() == []


def test_a_factory_that_another_library_wrapped_stays() -> None:
    ours = logging.getLogRecordFactory()
    try:
        logging.setLogRecordFactory(lambda *args, **kwargs: ours(*args, **kwargs))
        breadcrumbs.uninstall()
        with collecting() as ring:
            logger.info("unheard")
        assert ring.entries() == []
    finally:
        logging.setLogRecordFactory(logging.LogRecord)


def test_secrets_are_removed_and_lengths_are_bounded() -> None:
    with collecting() as ring:
        logger.info("the password=hunter22 of %s", {"token": "abcdefgh", "name": "susan"})
        logger.info("it was %s again", "open-sesame")
        logger.info("no %(token)s, %(rest)s", {"token": "c4n4ry", "rest": object})
        logger.info("x" * 10_000)
        breadcrumbs.add_statement("SELECT '" + "y" * 10_000 + "'", 0.001, 1)

    first, second, named, third, fourth = [entry.text for entry in ring.entries(["open-sesame"])]
    assert named.startswith("no [hidden], ")
    assert "hunter22" not in first
    assert "abcdefgh" not in first
    assert "susan" in first
    assert "sesame" not in second
    assert len(third) <= MAX_TEXT
    assert len(fourth) <= MAX_TEXT


def test_values_are_asked_nothing_and_not_kept() -> None:
    class Row:
        def __str__(self) -> str:
            raise AssertionError("a value was asked")

        __repr__ = __str__

    with collecting() as ring:
        logger.addFilter(lambda record: False)  # nothing else formats it
        try:
            logger.info("%s and %r", Row(), [Row()])
        finally:
            logger.filters.clear()

    (entry,) = ring.entries()
    assert "Row" in entry.text
    assert not any(isinstance(part, Row) for stored in ring._entries for part in stored)


def test_a_text_is_that_of_its_moment() -> None:
    cart = ["tea"]
    with collecting() as ring:
        logger.info("cart %s", cart)
        cart.append("milk")

    assert [entry.text for entry in ring.entries()] == ["cart ['tea']"]


def test_arguments_that_do_not_fit_break_nothing() -> None:
    with collecting() as ring:
        breadcrumbs_of_a_bad_line = logging.getLogRecordFactory()
        breadcrumbs_of_a_bad_line("tests", logging.INFO, "", 1, "%d %d", ("one",), None)

    assert ring.entries()[0].text.startswith("%d %d")


def test_the_last_entries_are_kept() -> None:
    with collecting() as ring:
        for number in range(MAX_ENTRIES + 7):
            logger.info("%d", number)

    assert [entry.text for entry in ring.entries()][:1] == ["7"]
    assert (len(ring.entries()), ring.omitted) == (MAX_ENTRIES, 7)


async def test_tasks_and_threads_write_into_their_request_alone() -> None:
    async def request(name: str) -> list[str]:
        with collecting() as ring:

            async def task() -> None:
                await asyncio.sleep(0)
                logger.info("task of %s", name)

            await asyncio.gather(asyncio.create_task(task()), asyncio.to_thread(logger.info, name))
            return sorted(entry.text for entry in ring.entries())

    one, other = await asyncio.gather(request("a"), request("b"))
    outside = threading.Thread(target=logger.info, args=("nobody's",))
    outside.start()
    outside.join()

    assert (one, other) == (["a", "task of a"], ["b", "task of b"])
    assert breadcrumbs.breadcrumbs() is None


def test_a_copy_gets_nothing_more() -> None:
    with collecting() as ring:
        logger.info("before")
        copy = ring.frozen()
        logger.info("after")

    assert [entry.text for entry in copy.entries()] == ["before"]


def test_statements_of_any_engine_without_values() -> None:
    engine = create_engine("sqlite://")
    with collecting() as ring, engine.connect() as connection:
        connection.execute(text("SELECT :value"), {"value": "my-value"})
    engine.dispose()

    (entry,) = ring.entries()
    assert (entry.kind, entry.text, entry.rows) == ("sql", "SELECT ?", None)
    assert 0 <= entry.took < 60


async def test_statements_of_our_engine_are_collected_once() -> None:
    database = DatabaseEngine("sqlite://")
    database.observe(breadcrumbs.add_statement)
    async with database.session() as session:
        with collecting() as ring:
            await session.execute(text("SELECT 1"))
            await session.execute(text("SELECT\n  2"))
    await database.dispose()

    assert [entry.text for entry in ring.entries()] == ["SELECT 1", "SELECT 2"]


async def test_an_observer_that_is_added_again_is_called_once() -> None:
    database = DatabaseEngine("sqlite://")
    for _ in range(2):
        database.observe(breadcrumbs.add_statement)
    async with database.session() as session:
        with collecting() as ring:
            await session.execute(text("SELECT 1"))
    await database.dispose()

    assert len(ring.entries()) == 1


def test_a_ring_within_a_ring_is_the_same() -> None:
    outer = breadcrumbs.begin()
    ring = breadcrumbs.breadcrumbs()
    inner = breadcrumbs.begin()
    assert breadcrumbs.breadcrumbs() is ring
    breadcrumbs.end(inner)
    assert breadcrumbs.breadcrumbs() is ring
    breadcrumbs.end(outer)
    assert breadcrumbs.breadcrumbs() is None


def test_named_arguments_that_are_secret_are_hidden() -> None:
    with collecting() as ring:
        logger.info("%(user)s has %(token)s", {"user": "susan", "token": "my-canary-word"})
        logger.info("%(token)s of %(of)s", {"token": "my-canary-word", "of": object})

    shown = [entry.text for entry in ring.raw(2)]
    assert shown[0] == "susan has [hidden]"
    assert "my-canary-word" not in shown[1]
