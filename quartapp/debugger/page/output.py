"""What a prompt prints, separated from the output of the server and of other prompts."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

_target: ContextVar[io.StringIO | None] = ContextVar("debugger_output", default=None)
_switches: list["_Switch"] = []

MAX_OUTPUT = 100_000


@contextmanager
def captured() -> Iterator[io.StringIO]:
    """Collect what the current task and the tasks it starts write to standard output.

    `sys.stdout` is replaced meanwhile; what other tasks write is passed through.
    """
    switch = _Switch(sys.stdout)
    sys.stdout = switch
    _switches.append(switch)
    buffer = _Bounded()
    token = _target.set(buffer)
    try:
        yield buffer
    finally:
        _target.reset(token)
        _switches.remove(switch)
        switch.remove()


class _Bounded(io.StringIO):
    def write(self, text: str, /) -> int:
        room = MAX_OUTPUT - self.tell()
        super().write(text[: max(room, 0)])
        return len(text)


class _Switch(io.TextIOBase):
    """Standard output that sends each write to the buffer of the task, or to the original."""

    def __init__(self, original: TextIO | Any) -> None:
        self._original = original

    def write(self, text: str, /) -> int:
        target = _target.get()
        return target.write(text) if target is not None else self._original.write(text)

    def flush(self) -> None:
        if not self._original.closed:
            self._original.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def remove(self) -> None:
        """Remove this switch, which need not be the last one: two prompts end in any order."""
        if sys.stdout is self:
            sys.stdout = self._original
        for other in _switches:
            if other._original is self:
                other._original = self._original
