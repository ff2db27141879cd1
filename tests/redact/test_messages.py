"""The texts of exceptions whose own code has to be asked."""

import threading
import time
from contextvars import ContextVar

import pytest

from quartapp.redact import messages


def test_a_text_that_takes_its_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    answered = threading.Event()

    class SlowError(Exception):
        def __str__(self) -> str:
            asked.append(time.monotonic())
            answered.wait(60)
            return "late"

    monkeypatch.setattr(messages, "PATIENCE", 0.05)
    monkeypatch.setattr(messages, "_slow", {})
    began = time.monotonic()
    texts = {messages.message_of(SlowError()) for _ in range(3)}
    assert time.monotonic() - began < 20
    answered.set()
    assert len(asked) == 1
    [text] = texts
    assert text.endswith("SlowError, whose text takes too long>")


def test_a_text_is_asked_in_the_callers_context() -> None:
    class ContextError(Exception):
        def __str__(self) -> str:
            return f"in {place.get()}"

    place: ContextVar[str] = ContextVar("place")
    place.set("the request")
    assert messages.message_of(ContextError()) == "in the request"
