"""Pages of rows and rows that an address names, on both databases."""

from collections.abc import AsyncIterator

import pytest
from quart import Quart
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship
from werkzeug.exceptions import NotFound

from quartapp.database import Database, Pagination
from quartapp.flasklike import App


class Base(DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list["Book"]] = relationship()


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(40))
    shelf_id: Mapped[int] = mapped_column(ForeignKey(Shelf.id))


class Word(Base):
    __tablename__ = "words"
    text: Mapped[str] = mapped_column(primary_key=True)


db = Database(model_class=Base)
BOOKS = select(Book).order_by(Book.id)


@pytest.fixture
async def app(each_database_url: str) -> AsyncIterator[Quart]:
    app = App("library")
    app.config["DATABASE_URL"] = each_database_url
    db.init_app(app)
    async with app.test_app(), app.app_context():
        await db.create_all()
        async with db.begin() as session:
            session.add(Shelf(id=1, books=[Book(id=id, title=f"b{id}") for id in range(1, 8)]))
            session.add(Word(text="word"))
        yield app


def titles(page: Pagination[Book]) -> list[str]:
    return [book.title for book in page]


async def test_a_page_has_the_attributes_of_flask_sqlalchemy(app: Quart) -> None:
    page = await db.paginate(BOOKS, page=2, per_page=3)
    assert titles(page) == ["b4", "b5", "b6"]
    assert (page.page, page.per_page, page.total, page.pages) == (2, 3, 7, 3)
    assert (page.has_prev, page.prev_num, page.has_next, page.next_num) == (True, 1, True, 3)
    assert (page.first, page.last) == (4, 6)
    after = await page.next()
    assert (titles(after), after.total, after.has_next, after.next_num) == (["b7"], 7, False, None)
    before = await page.prev()
    assert (titles(before), before.total, before.prev_num) == (["b1", "b2", "b3"], 7, None)


@pytest.mark.parametrize(
    ("page", "pages", "shown"),
    [
        (7, 20, [1, 2, None, 5, 6, 7, 8, 9, 10, 11, None, 19, 20]),
        (1, 20, [1, 2, 3, 4, 5, None, 19, 20]),
        (20, 20, [1, 2, None, 18, 19, 20]),
        (4, 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (1, 1, [1]),
        (1, 0, []),
        (10**9, 10**12, [1, 2, None, *range(10**9 - 2, 10**9 + 5), None, 10**12 - 1, 10**12]),
    ],
)
def test_the_row_of_links(page: int, pages: int, shown: list[int | None]) -> None:
    assert list(Pagination(page, 1, [], pages, None).iter_pages()) == shown  # type: ignore[arg-type]


async def test_the_query_string_chooses_the_page(app: Quart) -> None:
    async def get(query: str, **options: int) -> Pagination[Book]:
        async with app.test_request_context(f"/?{query}"):
            return await db.paginate(BOOKS, **options)  # type: ignore[arg-type]  # of three types

    assert titles(await get("page=2&per_page=5")) == ["b6", "b7"]
    assert (await get("per_page=1000000")).per_page == 100
    assert (await get("per_page=1000000", max_per_page=2)).per_page == 2
    huge = 2**70
    for query in ("page=3&per_page=5", "page=0", "page=x", f"page={huge}", "per_page=-1"):
        with pytest.raises(NotFound):
            await get(query)
    for query in ("page=0", "page=-1", "page=x", "page=" + "9" * 5000):
        assert (await get(query, error_out=False)).page == 1
    assert titles(await get(f"page={huge}", error_out=False)) == []


async def test_pages_with_joined_collections_and_without_a_total(app: Quart) -> None:
    page = await db.paginate(select(Shelf).options(joinedload(Shelf.books)))
    assert (len(page.items), page.total, len(page.items[0].books)) == (1, 1, 7)
    page = await db.paginate(BOOKS, per_page=3, count=False)
    assert (page.total, page.pages, page.has_next) == (None, 0, False)
    assert titles(await db.paginate(BOOKS.where(Book.id > 99))) == []


async def test_what_an_address_names_is_found_or_a_404(app: Quart) -> None:
    assert (await db.get_or_404(Book, 1)).title == "b1"
    assert (await db.first_or_404(BOOKS)).title == "b1"
    assert (await db.one_or_404(BOOKS.where(Book.title == "b3"))).id == 3
    for id in (0, -1, 99, 2**31, 2**63 - 1, 2**63, 2**70, -(2**70)):
        for awaitable in (
            db.get_or_404(Book, id, description="No such book."),
            db.first_or_404(BOOKS.where(Book.id == id), description="No such book."),
            db.one_or_404(BOOKS.where(Book.id == id), description="No such book."),
        ):
            with pytest.raises(NotFound, match="No such book"):
                await awaitable
    for text in ("none", "nul\0", "\ud800"):
        with pytest.raises(NotFound):
            await db.get_or_404(Word, text)
    with pytest.raises(NotFound):
        await db.one_or_404(BOOKS)
    assert (await db.get_or_404(Book, 2)).title == "b2", "the transaction goes on"
