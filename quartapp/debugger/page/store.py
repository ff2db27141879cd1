"""The failures whose pages and prompts still work: two at most."""

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass, field

from quart import Quart

from quartapp.breadcrumbs import Breadcrumbs
from quartapp.debugger.page.frames import Frame, Section, plain_text, release, sections
from quartapp.debugger.page.prompt import Prompt


@dataclass(eq=False)
class Failure:
    """One exception with its frames, the context it was raised in, and the prompts in its frames.

    `where` names the request or task that failed. `lock` is held while a command runs.
    """

    error: BaseException
    where: str
    context: Context
    app: Quart | None
    libraries: Sequence[str] = ()
    breadcrumbs: Breadcrumbs | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    kept_at: float = field(default_factory=time.time)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    prompts: dict[int, Prompt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sections: list[Section] = sections(self.error, self.libraries)
        self.plain = plain_text(self.error)

    def frame(self, number: int) -> Frame | None:
        frames = (frame for section in self.sections for frame in section.frames)
        return next((frame for frame in frames if frame.number == number), None)

    def release(self) -> None:
        for prompt in self.prompts.values():
            prompt.release()
        self.prompts.clear()
        release(self.sections)


class Store:
    """Keeps the newest failure and the last used one, and releases all others.

    Frames keep alive whatever their variables refer to, so there are only two. The second place is
    for the page that the developer is typing into: another request that fails must not end it.
    """

    def __init__(self) -> None:
        self._newest: Failure | None = None
        self._used: Failure | None = None

    def __iter__(self) -> Iterator[Failure]:
        return iter(
            {failure.id: failure for failure in (self._newest, self._used) if failure}.values()
        )

    def keep(self, failure: Failure) -> None:
        dropped, self._newest = self._newest, failure
        if dropped is not None and dropped is not self._used:
            dropped.release()

    def use(self, failure_id: str) -> Failure | None:
        """The failure with this id, which becomes the last used one; None if it is gone."""
        failure = self.find(failure_id)
        if failure is not None and failure is not self._used:
            dropped, self._used = self._used, failure
            if dropped is not None and dropped is not self._newest:
                dropped.release()
        return failure

    def find(self, failure_id: str) -> Failure | None:
        return next((failure for failure in self if failure.id == failure_id), None)
