"""A handler whose policy has short times, and a mail server for it."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from quartapp.reporting import QueuedSMTPHandler
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.handler import dispatch
from tests.post_office import PostOffice


class Quick(QueuedSMTPHandler):
    """A handler that hurries, and collects what it passes to `handleError`."""

    limits = Limits(initial_delay=0.02, cooldown=0.1, quiet_period=600.0, summaries=(0.1,))

    def __init__(self, *args: Any, **options: Any) -> None:
        self.errors: list[str] = []
        super().__init__(*args, **options)

    def handleError(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage() if record.args is None else str(record.msg))


@pytest.fixture
def post() -> Iterator[PostOffice]:
    office = PostOffice()
    try:
        yield office
    finally:
        office.close()


@pytest.fixture
def mails(post: PostOffice) -> PostOffice:
    """A mail server that accepts everything."""
    post.start()
    return post


MakeHandler = Callable[..., Any]  # a `Quick`, or the subclass that is asked for


@pytest.fixture
def make_handler(post: PostOffice, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHandler]:
    monkeypatch.setattr(dispatch, "RETRY_AFTER", (0.05,))
    made: list[Quick] = []

    def make(**options: Any) -> Quick:
        arguments: dict[str, Any] = {
            "mailhost": post.address,
            "fromaddr": "no-reply@example.com",
            "toaddrs": ["ops@example.com"],
            "subject": "Shop Failure",
            "timeout": 20.0,  # for a busy machine
        }
        handler: Quick = options.pop("kind", Quick)(**arguments | options)
        made.append(handler)
        return handler

    yield make
    for handler in made:
        logging.getLogger().removeHandler(handler)
        handler.timeout = 0.1
        handler.close()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger to which a test adds its handler."""
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    yield logger
    logger.handlers.clear()
    logger.propagate = True
