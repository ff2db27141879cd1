"""Databases in which one promise is broken on purpose; the comparison must detect each."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from tests.system.units.sides import Subject

MUTANTS: dict[str, type[Subject]] = {}


def mutant(promise: str) -> Callable[[type[Subject]], type[Subject]]:
    """Add the class to the table, under the promise that it breaks."""

    def enter(cls: type[Subject]) -> type[Subject]:
        MUTANTS[promise] = cls
        return cls

    return enter


class _OtherRows(Subject):
    """Changes what is read, on the database and in sessions."""

    def changed(self, rows: Any) -> Any:
        raise NotImplementedError

    async def read(self, statement: Any, values: Any) -> Any:
        return self.changed(await super().read(statement, values))

    async def session_read(self, session: Any, statement: Any, values: Any) -> Any:
        return self.changed(await super().session_read(session, statement, values))


@mutant("the types of the columns make the values")
class Raw(_OtherRows):
    def changed(self, rows: Any) -> Any:
        def raw(value: Any) -> Any:
            return value.replace(tzinfo=None) if isinstance(value, datetime) else value

        return [tuple(map(raw, row)) for row in rows]


@mutant("a boolean is no integer")
class Integers(_OtherRows):
    def changed(self, rows: Any) -> Any:
        return [
            tuple(int(each) if isinstance(each, bool) else each for each in row) for row in rows
        ]


@mutant("all rows come")
class LastRowLost(_OtherRows):
    def changed(self, rows: Any) -> Any:
        return rows[:-1] if len(rows) > 1 else rows


@mutant("rows come in the order of the statement")
class Unordered(_OtherRows):
    def changed(self, rows: Any) -> Any:
        return rows[::-1]


@mutant("integers have 64 bits")
class Narrow(_OtherRows):
    def changed(self, rows: Any) -> Any:
        def narrow(value: Any) -> Any:
            return value & 0xFFFFFFFF if type(value) is int and value > 0 else value

        return [tuple(map(narrow, row)) for row in rows]


@mutant("a rollback undoes everything")
class Kept(Subject):
    def session(self, *, write: bool) -> Any:
        session = super().session(write=write)
        commit, rollback = session.commit, session.rollback

        async def keep() -> None:
            try:
                await commit()
            except Exception:  # noqa: BLE001 - any that a commit may have
                await rollback()

        session.rollback = keep
        return session


@mutant("a session sees what it has written")
class ReadsOutside(Subject):
    async def session_read(self, session: Any, statement: Any, values: Any) -> Any:
        await session.connection()  # it is in a transaction, as always
        return await self.read(statement, values)


@mutant("what is not committed nobody else sees")
class CommitsEarly(Subject):
    async def session_read(self, session: Any, statement: Any, values: Any) -> Any:
        rows = await super().session_read(session, statement, values)
        await session.execute(text("COMMIT"))
        await session.execute(text("BEGIN"))
        return rows


@mutant("an error is raised")
class Swallowing(Subject):
    async def write(self, *steps: Any) -> Any:
        try:
            return await super().write(*steps)
        except IntegrityError:
            return [0 for _ in steps]


@mutant("an error is SQLAlchemy's")
class DriversErrors(Subject):
    async def read(self, statement: Any, values: Any) -> Any:
        try:
            return await super().read(statement, values)
        except DBAPIError as error:
            raise error.orig from None  # type: ignore[misc]  # it has one


@mutant("a write happens once")
class Twice(Subject):
    async def write(self, *steps: Any) -> Any:
        changed = await super().write(*steps)
        with suppress(Exception):
            await super().write(*steps)
        return changed


@mutant("a write is committed")
class Forgotten(Subject):
    async def write(self, *steps: Any) -> Any:
        async with self.database.session() as session:
            results: list[Any] = [await session.execute(*step) for step in steps]
            return [result.rowcount for result in results]


@mutant("several writes are one transaction")
class InPieces(Subject):
    async def write(self, *steps: Any) -> Any:
        return [(await super(InPieces, self).write(step))[0] for step in steps]


@mutant("the number of rows is that of the database")
class Miscounting(Subject):
    async def write(self, *steps: Any) -> Any:
        return [min(number, 1) for number in await super().write(*steps)]


@mutant("each read asks the database")
class Stale(Subject):
    async def read(self, statement: Any, values: Any) -> Any:
        key = (str(statement), repr(values))
        if key not in self.seen:
            self.seen[key] = await super().read(statement, values)
        return self.seen[key]

    async def reset(self) -> None:
        self.seen: dict[Any, Any] = {}
        await super().reset()


@mutant("a parameter that is missing is an error")
class MissingIsNull(Subject):
    async def read(self, statement: Any, values: Any) -> Any:
        try:
            return await super().read(statement, values)
        except StatementError as error:
            if isinstance(error, DBAPIError):
                raise
            return []


@mutant("the second execution has the values of the second")
class FirstValues(Subject):
    """As if values had been compiled into a statement."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.first: dict[int, Any] = {}

    async def read(self, statement: Any, values: Any) -> Any:
        return await super().read(statement, self.first.setdefault(id(statement), values))


@mutant("an UPDATE sets the columns of its values")
class FirstColumns(Subject):
    """As if the SQL had been kept from an execution with other columns."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.first: dict[int, Any] = {}

    async def write(self, *steps: Any) -> Any:
        known = [(step, self.first.setdefault(id(step[0]), set(step[1]))) for step in steps]
        return await super().write(
            *(
                (step[0], {key: step[1][key] for key in step[1] if key in names})
                for step, names in known
            )
        )


@mutant("a write that is cancelled has happened as a whole or not at all")
class Halves(Subject):
    async def write(self, *steps: Any) -> Any:
        changed = []
        for step in steps:
            changed += await super().write(step)
            await asyncio.sleep(0.001)
        return changed


@mutant("a cancellation is raised")
class Uncancelled(Subject):
    async def write(self, *steps: Any) -> Any:
        work = asyncio.ensure_future(super().write(*steps))
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        return work.result()


@mutant("a transaction is ended")
class LeftOpen(Subject):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.left: list[Any] = []

    async def read(self, statement: Any, values: Any) -> Any:
        try:
            return await super().read(statement, values)
        except Exception:
            left = self.database.session(write=False)
            self.left.append(left)
            await left.execute(text("SELECT 1"))
            raise

    async def dispose(self) -> None:
        for session in self.left:
            await session.close()
        await super().dispose()


@mutant("the value that the database makes is that of each execution")
class WithoutDefaults(Subject):
    """As if the defaults of Python were left out."""

    async def write(self, *steps: Any) -> Any:
        columns = {"notes": "revision", "people": "about"}
        completed = []
        for statement, values in steps:
            table = getattr(statement, "table", None)
            name = columns.get(getattr(table, "name", ""), "")
            is_plain = getattr(statement, "is_insert", False) and not statement._values
            completed.append((statement, ({name: None} if is_plain and name else {}) | values))
        return await super().write(*completed)
