"""A page of the rows of a SELECT, with the attributes of Flask-SQLAlchemy's pagination."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Generic, NoReturn, TypeVar

from quart import abort, has_request_context, request
from sqlalchemy import Select, func, select
from sqlalchemy.orm import lazyload

from quartapp.database.source import Session
from quartapp.database.types import MAX_ID

PER_PAGE = 20

T = TypeVar("T")

Turn = Callable[[int, bool], Awaitable["Pagination[Any]"]]
"""Finds another page of the same SELECT, by its number; `error_out` as in `paginate`."""


@dataclass(frozen=True)
class Pagination(Generic[T]):
    """A page. `Database.paginate` makes it; templates use its attributes without waiting."""

    page: int
    """The number of this page, from 1."""
    per_page: int
    """The most items of a page."""
    items: list[T]
    total: int | None
    """The number of items on all pages; None if they were not counted."""
    _turn: Turn = field(repr=False)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    @property
    def first(self) -> int:
        """The number of the first item on this page among all, from 1; 0 without items."""
        return (self.page - 1) * self.per_page + 1 if self.items else 0

    @property
    def last(self) -> int:
        """The number of the last item on this page among all; 0 without items."""
        return max(self.first + len(self.items) - 1, 0)

    @property
    def pages(self) -> int:
        """The number of pages; 0 if there are no items, or if they were not counted."""
        return ceil(self.total / self.per_page) if self.total else 0

    @property
    def has_prev(self) -> bool:
        """Whether this is not the first page."""
        return self.page > 1

    @property
    def has_next(self) -> bool:
        """Whether there is a further page; False if the items were not counted."""
        return self.page < self.pages

    @property
    def prev_num(self) -> int | None:
        """The number of the page before, if there is one."""
        return self.page - 1 if self.has_prev else None

    @property
    def next_num(self) -> int | None:
        """The number of the page after, if there is one."""
        return self.page + 1 if self.has_next else None

    async def prev(self, *, error_out: bool = False) -> "Pagination[T]":
        """The page before; its items are not counted again."""
        return await self._turned(self.page - 1, error_out)

    async def next(self, *, error_out: bool = False) -> "Pagination[T]":
        """The page after; its items are not counted again."""
        return await self._turned(self.page + 1, error_out)

    def iter_pages(
        self,
        *,
        left_edge: int = 2,
        left_current: int = 2,
        right_current: int = 4,
        right_edge: int = 2,
    ) -> Iterator[int | None]:
        """The numbers of pages for a row of links, with None where some are left out.

        On page 7 of 20 these are 1, 2, None, 5 to 11, None, 19, 20.
        """
        before = 0
        near = range(self.page - left_current, self.page + right_current + 1)
        for number in _unbounded(self.pages, left_edge, near, right_edge):
            if number > before + 1:
                yield None
            yield number
            before = number

    async def _turned(self, page: int, error_out: bool) -> "Pagination[T]":
        found = await self._turn(page, error_out)
        return Pagination(found.page, found.per_page, found.items, self.total, self._turn)


def _unbounded(pages: int, left: int, near: range, right: int) -> Iterator[int]:
    """The numbers that are shown, in order; in time that does not grow with the pages."""
    edge = range(1, min(left, pages) + 1)
    middle = range(max(near.start, edge.stop), min(near.stop, pages + 1))
    rest = range(max(pages - right + 1, edge.stop, middle.stop), pages + 1)
    yield from edge
    yield from middle
    yield from rest


async def paginate(
    session: Session,
    statement: Select[Any],
    *,
    page: int | None,
    per_page: int | None,
    max_per_page: int | None,
    error_out: bool,
    count: bool,
) -> Pagination[Any]:
    """See `Database.paginate`."""
    number = _number(page, "page", 1, error_out)
    size = _number(per_page, "per_page", PER_PAGE, error_out)
    if max_per_page is not None:
        size = min(size, max_per_page)

    def turn(other: int, error_out: bool) -> Awaitable[Pagination[Any]]:
        return paginate(
            session,
            statement,
            page=other,
            per_page=size,
            max_per_page=max_per_page,
            error_out=error_out,
            count=False,
        )

    items: list[Any] = []
    offset = (number - 1) * size
    if offset + size <= MAX_ID:  # the databases can express no larger one
        found = await session.execute(statement.limit(size).offset(offset))
        items = list(found.unique().scalars())
    if not items and number != 1 and error_out:
        _no_such_page()
    total = await _count(session, statement) if count else None
    return Pagination(number, size, items, total, turn)


async def _count(session: Session, statement: Select[Any]) -> int:
    rows = statement.options(lazyload("*")).order_by(None).subquery()
    return await session.scalar(select(func.count()).select_from(rows)) or 0


def _number(given: int | None, name: str, default: int, error_out: bool) -> int:
    """The number that was passed, or that of the query string; positive."""
    try:
        if given is None:
            given = int(request.args.get(name, default)) if has_request_context() else default
        if given >= 1:
            return given
    except ValueError:  # no number, or one of thousands of digits
        pass
    if error_out:
        _no_such_page()
    return default


def _no_such_page() -> NoReturn:
    abort(404)
