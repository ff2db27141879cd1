"""The handler against a real mail server."""

import asyncio
import logging
import logging.config
import logging.handlers
import queue
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from quartapp.reporting import QueuedSMTPHandler
from quartapp.reporting.handler import letters, source
from quartapp.testing.mail import certificate
from tests.post_office import PostOffice
from tests.reporting.handler.conftest import MakeHandler, Quick


def fail(text: str = "broken") -> None:
    raise RuntimeError(text)


def log_exception(logger: logging.Logger, message: str = "Exception on %s", *args: object) -> None:
    try:
        fail()
    except RuntimeError:
        logger.exception(message, *(args or ("/orders",)))


def counted(handler: Quick) -> int:
    """The errors that its thread has read."""
    return sum(group["count"] for group in handler._dispatcher.groups.to_json()["groups"])


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for a condition, for a minute at most. Raises TimeoutError."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)


def test_the_lines_of_the_tutorial_mail_an_error(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    mail_handler = make_handler(
        mailhost=mails.address,
        fromaddr="no-reply@example.com",
        toaddrs=["ops@example.com", "dev@example.com"],
        subject="Shop Failure",
        credentials=None,
        secure=None,
    )
    mail_handler.setLevel(logging.ERROR)
    mail_handler.setFormatter(logging.Formatter("[%(levelname)s in %(module)s] %(message)s"))
    logger.addHandler(mail_handler)
    logger.warning("only a warning")
    log_exception(logger)
    mails.wait_for(1)
    [mail] = mails.server.mails
    assert mail.sender == "no-reply@example.com"
    assert mail.message["From"] == "no-reply@example.com"
    assert mail.recipients == ("ops@example.com", "dev@example.com")
    assert mail.message["Subject"].startswith(
        "Shop Failure NEW RuntimeError in reporting.handler.test_handler.fail (#"
    )
    text = mail.text.replace("\r\n", "\n")
    assert "[ERROR in test_handler] Exception on /orders\nTraceback (most recent call" in text
    assert "    raise RuntimeError(text)\nRuntimeError: broken\n" in text
    assert "Count:       once" in text


@pytest.mark.slow
def test_a_burst_is_a_few_mails_with_the_exact_count(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    handler = make_handler()
    logger.addHandler(handler)
    with handler._sender._starting:  # so that the first mail comes after the burst
        for number in range(50):
            log_exception(logger, "Exception on %s", number)
    handler._sender.wake()
    mails.wait_for(1)
    for number in range(7):
        log_exception(logger, "Exception on %s", number)
    mails.wait_for(2)
    assert mails.counts == ["50 times", "57 times"]
    first, second = (mail.text for mail in mails.server.mails)
    assert "Text:        45 of 50 had no text of their own" in first
    assert first.count("Traceback") == 5
    assert "New:         7 times, after the last mail" in second
    assert "Text:        7 of 7 had no text of their own" in second


def test_records_are_grouped_by_template_and_place(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    handler = make_handler()
    logger.addHandler(handler)
    for number in range(3):
        logger.error("Order %d of %s is lost", number, "susan")
        logger.error("No stock")
    handler.flush()
    assert mails.counts == ["3 times", "3 times"]
    assert "Order … of … is lost" in mails.server.mails[0].message["Subject"]
    assert "Order 2 of susan is lost" in mails.server.mails[0].text


def test_the_caller_touches_no_socket_and_no_name(
    mails: PostOffice,
    make_handler: MakeHandler,
    logger: logging.Logger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = threading.get_ident()
    touched: list[str] = []

    def watched(original: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            if threading.get_ident() == ours:
                touched.append(original.__name__)
            return original(*args, **options)

        return call

    for name in ("connect", "connect_ex", "send", "sendall", "recv"):
        monkeypatch.setattr(
            socket.socket, name, watched(getattr(socket.socket, name)), raising=False
        )
    for name in ("getaddrinfo", "gethostbyname", "getfqdn", "create_connection", "socketpair"):
        monkeypatch.setattr(socket, name, watched(getattr(socket, name)))
    logger.addHandler(make_handler())
    log_exception(logger)
    mails.wait_for(1)
    assert touched == []


@pytest.mark.slow
def test_a_server_that_never_answers_costs_the_caller_nothing(
    make_handler: MakeHandler, logger: logging.Logger
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        handler = make_handler(mailhost=silent.getsockname(), timeout=0.2)
        logger.addHandler(handler)
        log_exception(logger)
        time.sleep(0.1)  # now the thread waits for the server
        began = time.perf_counter()
        for _ in range(100):
            log_exception(logger)
        handler.flush()
        handler.close()
        # Less than 0.5 s; waiting for the server with each record would take 20 s.
        assert time.perf_counter() - began < 10
        assert handler.errors[-1] == "101 records were not mailed"


@pytest.mark.slow
def test_records_that_the_thread_has_not_read_are_counted_as_lost(
    make_handler: MakeHandler, logger: logging.Logger
) -> None:
    begun, answered = threading.Event(), threading.Event()

    def look_up(*_: object) -> object:
        begun.set()
        answered.wait(20)
        raise OSError("no such host")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up)
        handler = make_handler(mailhost=("mail.example.com", 25), timeout=0.1)
        logger.addHandler(handler)
        logger.error("The first")
        assert begun.wait(20)
        for _ in range(100):
            logger.error("A later one")
        handler.close()
        assert handler.errors == ["101 records were not mailed"]
        answered.set()


@pytest.mark.parametrize("timeout", [None, 0, -1.0])
def test_a_timeout_that_is_none_is_refused(make_handler: MakeHandler, timeout: Any) -> None:
    with pytest.raises(ValueError, match="expected seconds, more than 0"):
        make_handler(timeout=timeout)


@pytest.mark.slow
def test_an_error_that_has_happened_very_often_is_mailed_again(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    handler = make_handler()
    logger.addHandler(handler)
    for _ in range(5000):
        logger.error("Often")
    handler.flush()
    for _ in range(2):
        logger.error("Often")
        handler.flush()
    assert handler.errors == []
    assert mails.counts[-1] == "5,002 times"
    assert " MORE " in mails.server.mails[-1].message["Subject"]


def test_a_mail_that_cannot_be_built_does_not_stop_others(
    mails: PostOffice,
    make_handler: MakeHandler,
    logger: logging.Logger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = letters.build

    def fail(groups: Any, *arguments: Any) -> Any:
        if groups[0].title == "First":
            raise OverflowError
        return build(groups, *arguments)

    monkeypatch.setattr(letters, "build", fail)
    handler = make_handler()
    logger.addHandler(handler)
    logger.error("First")
    logger.error("Second")
    handler.flush()
    assert handler.errors == ["a mail could not be built: OverflowError"]
    [mail] = mails.server.mails
    assert "Second" in mail.message["Subject"]


@pytest.mark.slow
def test_a_server_that_is_away_gets_the_mails_later(
    post: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    post.start()
    post.stop()
    handler = make_handler()
    logger.addHandler(handler)
    log_exception(logger)
    logger.error("Another error")
    wait_until(lambda: handler.errors)
    time.sleep(0.2)
    assert len(handler.errors) == 1
    assert "Connect call failed" in handler.errors[0]
    log_exception(logger)
    wait_until(lambda: counted(handler) == 3)
    post.start()
    post.wait_for(2)
    assert post.counts == ["2 times", "once"]


@pytest.mark.slow
def test_a_text_that_the_server_rejects_does_not_stop_its_mail(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    mails.server.replies["DATA"] = "554 looks like spam"
    handler = make_handler()
    logger.addHandler(handler)
    logger.error("cheap pills")
    wait_until(lambda: mails.server.attempts > 3)  # after three rejections
    mails.server.replies.clear()
    mails.wait_for(1)
    assert "1 of 1 had no text of their own" in mails.server.mails[0].text
    assert "554 looks like spam" in handler.errors[0]


@pytest.mark.parametrize("given", ["context", "tuple"])
def test_encryption_and_login(
    given: str,
    post: PostOffice,
    make_handler: MakeHandler,
    logger: logging.Logger,
    tmp_path: Path,
) -> None:
    tls, trusted = certificate(tmp_path)
    post.start(tls=tls, login=("ops", "mail-password"))
    context = ssl.create_default_context(cafile=str(trusted))
    handler = make_handler(
        credentials=("ops", "mail-password"),
        secure=context if given == "context" else (None, None, context),
    )
    logger.addHandler(handler)
    logger.error("the server said mail-password is wrong")
    post.wait_for(1)
    [mail] = post.server.mails
    assert (mail.over_tls, mail.username) == (True, "ops")
    assert "mail-password" not in mail.message.as_string()


def test_nothing_is_sent_to_a_server_with_an_unknown_certificate(
    post: PostOffice, make_handler: MakeHandler, logger: logging.Logger, tmp_path: Path
) -> None:
    tls, _ = certificate(tmp_path)
    post.start(tls=tls, login=("ops", "secret-word"))
    handler = make_handler(credentials=("ops", "secret-word"), secure=())
    logger.addHandler(handler)
    logger.error("broken")
    handler.flush()
    assert (post.server.attempts, post.server.logins) == (0, [])
    assert "certificate" in handler.errors[0]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # of the server
def test_a_server_without_starttls_is_told_no_password(
    post: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    post.start(login=("ops", "secret-word"))
    handler = make_handler(credentials=("ops", "secret-word"), secure=())
    logger.addHandler(handler)
    logger.error("broken")
    handler.flush()
    assert (post.server.attempts, post.server.logins) == (0, [])
    assert "STARTTLS" in handler.errors[0]


def test_a_key_file_that_cannot_be_read_is_loud(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    handler = make_handler(secure=("/no/key.pem", "/no/cert.pem"))
    logger.addHandler(handler)
    logger.error("broken")
    handler.flush()
    assert "FileNotFoundError" in handler.errors[0]


def test_no_secret_is_in_a_mail(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    def log_in(password: str) -> None:
        raise PermissionError(f"no member has {password}")

    class Shows(Quick):
        def getSubject(self, record: logging.LogRecord) -> str:
            return f"Failure: {record.getMessage()}"

    handler = make_handler(kind=Shows)
    logger.addHandler(handler)
    try:
        log_in("orchid-7-lantern")
    except PermissionError:
        logger.exception("login with %s and token=abcdef0123456789", "orchid-7-lantern")
    handler.flush()
    [mail] = mails.server.mails
    content = mail.message.as_string() + mail.text + mail.message["Subject"]
    assert "PermissionError" in content
    assert "orchid" not in content
    assert "abcdef0123456789" not in content


def test_subject_and_text_may_be_overridden(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    class Own(Quick):
        def getSubject(self, record: logging.LogRecord) -> str:
            return f"{record.levelname} of the shop"

        def format(self, record: logging.LogRecord) -> str:
            assert record.exc_info is not None
            return f"<{record.getMessage()}|{record.exc_info[0].__name__}>"  # type: ignore[union-attr]

    logger.addHandler(make_handler(kind=Own))
    log_exception(logger)
    mails.wait_for(1)
    [mail] = mails.server.mails
    assert mail.message["Subject"].startswith("ERROR of the shop NEW RuntimeError in")
    assert "<Exception on /orders|RuntimeError>" in mail.text


def test_a_formatter_may_print_tracebacks_its_own_way(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    class Short(logging.Formatter):
        def formatException(self, ei: Any) -> str:
            return f"it was {ei[1]!r}"

    handler = make_handler()
    handler.setFormatter(Short())
    logger.addHandler(handler)
    log_exception(logger)
    mails.wait_for(1)
    assert "it was RuntimeError('broken')" in mails.server.mails[0].text


def test_the_record_is_left_as_it_was(mails: PostOffice, make_handler: MakeHandler) -> None:
    handler = make_handler()
    try:
        fail()
    except RuntimeError:
        record = logging.LogRecord("shop", 40, __file__, 1, "%s", ("a",), sys.exc_info())
    before = vars(record).copy()
    handler.handle(record)
    handler.flush()
    assert mails.counts == ["once"]
    assert vars(record) == before


def test_a_record_that_cannot_be_formatted_is_counted_and_loud(
    mails: PostOffice, make_handler: MakeHandler
) -> None:
    handler = make_handler()
    handler.handle(logging.LogRecord("shop", 40, __file__, 1, "%d orders", ("many",), None))
    handler.flush()
    assert handler.errors == ["%d orders"]
    assert mails.counts == ["once"]


@pytest.mark.parametrize(
    "text",
    [
        "two\r\nBcc: all@example.com\r\n\r\nlines",
        "Größe ☃ 💥 \ud800 \x00 \x1b[31m",
        ".\r\n.\r\nQUIT\r\n",
        "=?utf-8?q?encoded?=",
        "long " * 100_000,
    ],
    ids=["lines", "unicode", "dots", "encoded", "long"],
)
def test_any_text_is_one_safe_and_bounded_mail(
    text: str, mails: PostOffice, make_handler: MakeHandler
) -> None:
    handler = make_handler(subject=f"Shop {text}")
    # Not by a logger: pytest-xdist cannot send each of these as what was logged.
    handler.handle(logging.LogRecord("shop", 40, __file__, 1, text, (), None))
    handler.flush()
    [mail] = mails.server.mails
    assert mail.recipients == ("ops@example.com",)
    assert mail.message["Bcc"] is None
    raw = mail.message.as_bytes()
    assert raw.isascii()
    assert len(raw) < 100_000
    assert all(len(line) < 998 for line in raw.splitlines())
    assert len(str(mail.message["Subject"])) < 200


def test_a_long_text_keeps_its_beginning_and_its_end(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    handler = make_handler()
    logger.addHandler(handler)
    logger.error("first %s last", "💥" * 20_000)
    handler.flush()
    text = mails.server.mails[0].text
    assert "first 💥" in text
    assert "💥 last" in text
    assert "... 6,011 characters ..." in text


def test_addresses_may_be_one_text_with_names(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    handler = make_handler(
        fromaddr="The Shop <no-reply@example.com>",
        toaddrs="Ops <ops@example.com>, dev@example.com",
    )
    logger.addHandler(handler)
    logger.error("broken")
    handler.flush()
    [mail] = mails.server.mails
    assert mail.message["From"] == "The Shop <no-reply@example.com>"
    assert mail.recipients == ("ops@example.com", "dev@example.com")


def test_a_host_without_a_port_is_called_on_port_25() -> None:
    from quartapp.reporting.handler.envelope import envelope_of

    handler = QueuedSMTPHandler("mail.example.com", "a@example.com", "b@example.com", "Failure")
    server = envelope_of(handler).server
    assert (server.host, server.port, server.starttls, server.timeout) == (
        "mail.example.com",
        25,
        False,
        5.0,
    )


@pytest.mark.parametrize("by", ["class", "()"])
def test_dict_config(
    by: str, mails: PostOffice, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QueuedSMTPHandler, "limits", Quick.limits)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"short": {"format": "%(levelname)s: %(message)s"}},
            "handlers": {
                "mail": {
                    by: "quartapp.reporting.QueuedSMTPHandler",
                    "level": "ERROR",
                    "formatter": "short",
                    "mailhost": list(mails.address),
                    "fromaddr": "a@example.com",
                    "toaddrs": ["b@example.com"],
                    "subject": "Shop",
                }
            },
            "loggers": {"shop.orders": {"handlers": ["mail"], "propagate": False}},
        }
    )
    logger.warning("not this")
    logger.error("broken")
    mails.wait_for(1)
    assert "ERROR: broken" in mails.server.mails[0].text
    [handler] = logger.handlers
    handler.close()


def test_behind_a_queue_handler_errors_are_still_grouped(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    handler = make_handler()
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    logger.addHandler(logging.handlers.QueueHandler(waiting))
    listener = logging.handlers.QueueListener(waiting, handler)
    listener.start()
    for number in range(20):
        log_exception(logger, "Exception on order %d", number)
    listener.stop()
    handler.flush()
    assert mails.counts == ["20 times"]
    assert "RuntimeError: broken" in mails.server.mails[0].text


async def test_closing_in_a_running_loop_waits_only_for_the_timeout(
    post: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    await asyncio.to_thread(post.start)
    handler = make_handler(timeout=2.0)
    logger.addHandler(handler)
    log_exception(logger)
    handler.close()
    assert post.counts == ["once"]
    log_exception(logger)  # it begins again
    handler.flush()
    assert post.counts == ["once", "2 times"]


def test_logging_waits_for_no_lock_that_a_flush_holds(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    handler = make_handler()
    logger.addHandler(handler)
    handler.acquire()  # as logging.shutdown does, while the mails are sent
    try:
        thread = threading.Thread(target=log_exception, args=(logger,))
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    finally:
        handler.release()


@pytest.mark.slow
def test_a_signal_handler_may_log_and_flush(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    handler = make_handler()
    logger.addHandler(handler)

    def on_signal(_number: int, _frame: object) -> None:
        logger.error("A signal came")
        handler.flush()

    before = signal.signal(signal.SIGALRM, on_signal)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.02)
        until = time.monotonic() + 0.3
        sent = 0
        while time.monotonic() < until:
            logger.error("Working")
            sent += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    handler.flush()
    wait_until(lambda: counted(handler) > sent)  # a flush waits for its timeout only
    assert counted(handler) > sent


def test_logging_sets_no_context_variable(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    """Before Python 3.12 a collection may begin within `ContextVar.set`. If a destructor then logs,
    and sets the variable too, the interpreter crashes."""
    seen = []

    class Watching(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            seen.append(dict(copy_context().items()))
            return super().format(record)

    handler = make_handler()
    handler.setFormatter(Watching())
    logger.addHandler(handler)
    before = dict(copy_context().items())
    logger.error("Here")
    assert seen == [before]


@pytest.mark.slow
def test_what_sending_logs_is_not_mailed(
    mails: PostOffice, make_handler: MakeHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("mail.log"), "propagate", False)  # of the server
    root = logging.getLogger()
    handler = make_handler()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        # Not "shop": an application of that name, in another test, may not propagate.
        logging.getLogger("kiosk.orders").error("broken")
        mails.wait_for(1)
        time.sleep(0.3)
        handler.flush()
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
    assert [mail.message["Subject"][:23] for mail in mails.server.mails] == [
        "Shop Failure NEW broken"
    ]


@pytest.mark.slow
def test_is_exact_under_many_threads(
    mails: PostOffice, make_handler: MakeHandler, logger: logging.Logger
) -> None:
    handler = make_handler()
    logger.addHandler(handler)

    def storm() -> None:
        for _ in range(100):
            log_exception(logger)

    threads = [threading.Thread(target=storm) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.flush()
    assert mails.counts[-1] == "800 times"


def test_what_finds_no_room_is_counted(
    mails: PostOffice,
    make_handler: MakeHandler,
    logger: logging.Logger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "_CROWDED", 2)
    monkeypatch.setattr(source, "_FULL", 10)
    handler = make_handler()
    logger.addHandler(handler)
    with handler._sender._starting:  # no thread can begin
        for number in range(1000):
            logger.error("Error %s", number)
        assert len(handler._source._payloads) == 10
    handler.flush()
    assert mails.counts == ["1,000 times"]
    assert "998 of 1,000 had no text of their own" in mails.server.mails[0].text
