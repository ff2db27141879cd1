"""Pages of lists.

Links page by key (`before` and `after` are ids), so that the last page of a million posts costs as
much as the first. `page` numbers are understood too, for people who type them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Integer, Select, asc, bindparam, desc

from quartapp.database import Source
from quartapp.database.source import Rows
from quartapp.database.types import MAX_ID, Id
from quartapp.microblog.exceptions import NotFoundError

MAX_PAGE = 10_000
"""A numbered page is found by counting rows. Pages further back are reached by the links."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for `size` rows: before an id, after an id, or on a page counted from 1."""

    size: int
    page: int = 1
    before: int | None = None
    after: int | None = None

    @classmethod
    def parse(cls, args: Mapping[str, str], size: int) -> "PageRequest":
        """Read a query string; `before` goes before `after`, and both before `page`.

        Raises NotFoundError for a page that cannot exist, also if it has no effect.
        """
        page = _number(args.get("page", "1"), MAX_PAGE)
        before = _number(args["before"], MAX_ID) if "before" in args else None
        after = _number(args["after"], MAX_ID) if "after" in args else None
        if before is not None:
            return cls(size, before=before)
        if after is not None:
            return cls(size, after=after)
        return cls(size, page=page)

    def collect(self, rows: Sequence[T]) -> "Page[T]":
        """The page of the rows that `Pages.find` read.

        Raises NotFoundError for a numbered page past the end.
        """
        more = len(rows) > self.size
        items = list(rows[: self.size])
        if self.after is not None:
            items.reverse()
            return Page(items, has_newer=more, has_older=True)
        if not items and self.before is None and self.page > 1:
            raise NotFoundError("There is no such page.")
        return Page(items, has_newer=self.before is not None or self.page > 1, has_older=more)


class Pages:
    """The statements of a list, built once: building a statement costs more than running it.

    `rows` selects what is shown, ordered by the column `key`. `members` is a SELECT of keys that
    says which rows belong to the list; without it all do. The keys of a page are found first, from
    an index, and then its rows. Both statements may have bound parameters.
    """

    def __init__(
        self, rows: Select[Any], key: ColumnElement[int], members: Select[Any] | None = None
    ) -> None:
        keys = rows if members is None else members
        by = key if members is None else members.selected_columns[0]

        def shown(chosen: Select[Any], order: Callable[[Any], Any]) -> Select[Any]:
            limited = chosen.order_by(order(by)).limit(bindparam("page_limit", type_=Integer))
            if members is None:
                return limited
            return rows.where(key.in_(limited)).order_by(order(key))

        position = bindparam("page_key", type_=Id)
        offset = bindparam("page_offset", type_=Integer)
        self._after = shown(keys.where(by > position), asc)
        self._before = shown(keys.where(by < position), desc)
        self._numbered = shown(keys.offset(offset), desc)
        self._first = shown(keys, desc)

    async def find(self, source: Source, wanted: PageRequest, **values: Any) -> Rows:
        """The rows of a page in the order of the key, for `PageRequest.collect`.

        There is one row more than requested if there is a further page. `values` are the bound
        parameters of the list.
        """
        values["page_limit"] = wanted.size + 1
        statement: Select[Any]
        if wanted.after is not None:
            values["page_key"], statement = wanted.after, self._after
        elif wanted.before is not None:
            values["page_key"], statement = wanted.before, self._before
        elif wanted.page > 1:
            values["page_offset"] = (wanted.page - 1) * wanted.size
            statement = self._numbered
        else:
            statement = self._first
        return await source.read(statement, **values)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows, newest first, and whether there are newer and older ones."""

    items: list[T]
    has_newer: bool
    has_older: bool


def _number(text: str, largest: int) -> int:
    # isascii: int() also accepts digits of other scripts, and raises for very long numbers.
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= largest):
        raise NotFoundError("There is no such page.")
    return int(text)
