"""Execute a case on both sides, and say where they differ."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError, NotSupportedError

from tests.system.units import statements
from tests.system.units.case import Case, Step
from tests.system.units.sides import Oracle, Side, Subject, columns
from tests.system.units.statements import Statement
from tests.system.units.tables import Person

COUNT_UP = statements.count_up(Random(0), False).element

SETTLED = 0.01
"""Seconds after which a write that was cancelled has happened, or never will."""

_MANY_TURNS = 20
"""From here on a turn is a tenth of a millisecond, for what happens in a thread."""


class PlannedError(Exception):
    """The error of a step `fail`."""


@dataclass(frozen=True)
class Rows:
    values: tuple[tuple[Any, ...], ...]
    types: tuple[tuple[type, ...], ...]

    @classmethod
    def of(cls, rows: Any, *, in_order: bool) -> "Rows":
        found = [row if type(row) is tuple else columns(row) for row in rows]
        if not in_order:
            found.sort(key=repr)
        return cls(tuple(found), tuple(tuple(map(type, row)) for row in found))


@dataclass(frozen=True)
class Failed:
    kind: type[BaseException]
    reason: str

    def is_as(self, expected: "Failed") -> bool:
        """Whether it is the error of the oracle, or of a class that derives from it."""
        return issubclass(self.kind, expected.kind) and self.reason == expected.reason


@dataclass(frozen=True)
class Both:
    outcomes: tuple[Any, ...]


CANCELLED = Failed(asyncio.CancelledError, "")


async def outcome(work: Awaitable[Any], *, in_order: bool = True) -> Any:
    """What came of something: rows with their types, another value, or an error."""
    try:
        result = await work
    except asyncio.CancelledError:
        return CANCELLED
    except (IntegrityError, NotSupportedError) as error:
        # The application reads what an IntegrityError says; see `is_outdated` for the other.
        said = str(error.orig).partition("\n")[0]
        return Failed(type(error), said.partition(">: ")[2] or said)
    except Exception as error:  # noqa: BLE001 - it is compared
        return Failed(type(error), "")
    if isinstance(result, list | tuple):
        return Rows.of(result, in_order=in_order)
    return result


def agrees(got: Any, expected: Any) -> bool:
    if isinstance(got, Both) and isinstance(expected, Both):
        return all(map(agrees, got.outcomes, expected.outcomes))
    if isinstance(got, Failed) and isinstance(expected, Failed):
        return got.is_as(expected)
    return type(got) is type(expected) and bool(got == expected)


def is_outdated(got: Any) -> bool:
    """Whether a statement was prepared before the type of a column of its rows changed.

    SQLAlchemy refuses it once, if it prepares statements; the oracle does not.
    """
    return (
        isinstance(got, Failed)
        and got.kind is NotSupportedError
        and got.reason.startswith("cached statement plan is invalid")
    )


def is_bindable(step: Step) -> bool:
    """Whether SQLite's driver can take all values as they are.

    For others, it reports the last error of the connection if there was one (sqlite3, Python 3.11).
    """
    sets = [step.values]
    if not isinstance(step.values, dict):
        sets = [each[1] if isinstance(each, tuple) else each for each in step.values]
    return all(_is_plain(value) for values in sets for value in values.values())


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, int):
        return abs(value) < 2**63
    return value is None or isinstance(value, float | bytes | bytearray | date)


async def cancel_after(turns: int, work: Any) -> Any:
    """The outcome of something that is cancelled, if it is not done by then."""
    task = asyncio.ensure_future(work)
    for _ in range(min(turns, _MANY_TURNS)):
        await asyncio.sleep(0)
    if turns > _MANY_TURNS:
        await asyncio.sleep((turns - _MANY_TURNS) * 1e-4)
    was_cancelled = task.cancel()
    result = await outcome(task)
    if was_cancelled and result != CANCELLED and not isinstance(result, Failed):
        return f"the cancellation was lost, and came back with {result}"
    return result


class Run:
    """One case on one subject and one oracle, whose tables are in their first state."""

    def __init__(self, case: Case, subject: Subject, oracle: Oracle) -> None:
        self.case, self.subject, self.oracle = case, subject, oracle
        self.statements: dict[Side, list[Statement]] = {
            side: [side.statement(number) for number in case.statements]
            for side in (subject, oracle)
        }
        self.sessions: dict[Side, list[Any]] = {
            side: [side.session(write=write) for write in case.units] for side in (subject, oracle)
        }

    async def differences(self) -> list[str]:
        """The first step that differs, or what differs in the end."""
        try:
            for number, step in enumerate(self.case.steps):
                if found := await self.step(step):
                    return [f"step {number}, {step}:\n    {found}"]
        finally:
            for session in (*self.sessions[self.subject], *self.sessions[self.oracle]):
                await session.close()
        return await self.in_the_end()

    async def in_the_end(self) -> list[str]:
        found = []
        got, expected = await self.subject.contents(), await self.oracle.contents()
        for name, rows in expected.items():
            if got[name] != rows:
                found.append(f"{name} contains\n    {got[name]}\n    instead of\n    {rows}")
        if number := await self.subject.open_transactions():
            found.append(f"{number} transactions are open")
        if number := self.subject.engine.pool.checkedout():  # type: ignore[attr-defined]
            found.append(f"{number} connections are not in the pool")
        return found

    async def step(self, step: Step) -> str:
        if step.verb == "alter":
            await self.subject.alter(step.statement)
            await self.oracle.alter(step.statement)
            return ""
        if step.verb == "together":
            return await self.together(step)
        if step.verb == "late" and not await self.is_held(step.unit):
            return ""
        if step.cancelled is not None:
            return await self.cancelled(step)
        return await self.plain(step)

    async def is_held(self, unit: int) -> bool:
        """Let a unit hold the lock of a writer for certain; False if its session cannot be used."""
        held = [
            await outcome(self.sessions[side][unit].execute(COUNT_UP, {"key": 9, "by": 0}))
            for side in (self.subject, self.oracle)
        ]
        return not any(isinstance(each, Failed) for each in held)

    async def plain(self, step: Step) -> str:
        got = await self.of_side(self.subject, step)
        if is_outdated(got):
            for sessions in self.sessions.values():
                await sessions[step.unit].rollback()
            return ""
        expected = await self.of_side(self.oracle, step)
        if agrees(got, expected) or self.both_fail(got, expected, step):
            one, other = (each[step.unit].in_transaction() for each in self.sessions.values())
            return "" if one == other else f"in a transaction: {one} instead of {other}"
        return f"{got}\n    instead of\n    {expected}"

    async def of_side(self, side: Side, step: Step) -> Any:
        in_order = self.statements[self.oracle][step.statement].in_order
        return await outcome(self.perform(side, step), in_order=in_order)

    def both_fail(self, got: Any, expected: Any, step: Step) -> bool:
        """Whether both fail where it is open which of two errors is found first.

        A statement that PostgreSQL has prepared before its table was renamed is refused for its
        values by the driver, another one for its table by the server.
        """
        if not (isinstance(got, Failed) and isinstance(expected, Failed)):
            return False
        are_drivers = issubclass(got.kind, DBAPIError) and issubclass(expected.kind, DBAPIError)
        return not is_bindable(step) or (self.oracle.is_altered and are_drivers)

    async def together(self, step: Step) -> str:
        def work(side: Side, op: tuple[str, int | None, Any]) -> Awaitable[Any]:
            _verb, number, values = op
            if number is None:
                return outcome(side.write((COUNT_UP, values)))
            chosen = self.statements[side][number]
            return outcome(side.read(chosen.element, values), in_order=chosen.in_order)

        got = await asyncio.gather(*(work(self.subject, op) for op in step.values))
        expected = [await work(self.oracle, op) for op in step.values]
        for one, other in zip(got, expected, strict=True):
            if not agrees(one, other):
                return f"{one}\n    instead of\n    {other}"
        return ""

    async def cancelled(self, step: Step) -> str:
        """The subject decides whether it was too late; the oracle does the same."""
        turns = step.cancelled or 0
        if step.verb == "late":
            # The unit holds the lock, and the write waits for it.
            chosen = self.statements[self.subject][step.statement]
            got = await cancel_after(turns, self.subject.write((chosen.element, step.values)))
            return "" if isinstance(got, Failed) else f"{got} while another one writes"
        got = await cancel_after(turns, self.perform(self.subject, step))
        if isinstance(got, str):
            return got
        await self.sessions[self.subject][step.unit].rollback()
        found = await self.committed(step) if step.verb.endswith(("write", "write_all")) else ""
        await self.sessions[self.oracle][step.unit].rollback()
        return found

    async def committed(self, step: Step) -> str:
        """A write that was cancelled has happened as a whole or not at all."""
        await asyncio.sleep(SETTLED)
        got = await self.subject.contents()
        if got == await self.oracle.contents():
            return ""
        await outcome(self.perform(self.oracle, step))
        expected = await self.oracle.contents()
        return "" if got == expected else f"a half: {got}\n    instead of\n    {expected}"

    async def perform(self, side: Side, step: Step) -> Any:
        session = self.sessions[side][step.unit]
        statement = self.statements[side][step.statement].element
        match step.verb:
            case "read":
                return await side.session_read(session, statement, step.values)
            case "write":
                return await side.session_write(session, (statement, step.values))
            case "write_all":
                return await side.session_write(session, *self.changes(side, step))
            case "execute" | "many":
                result = await session.execute(statement, step.values)
                return result.all() if result.returns_rows else result.rowcount
            case "scalars":
                return (await session.scalars(statement, step.values)).all()
            case "add" | "pend":
                session.add(Person(**step.values))
                return await session.flush() if step.verb == "add" else None
            case "commit":
                return await session.commit()
            case "rollback":
                return await session.rollback()
            case "fail":
                async with session:
                    raise PlannedError
            case "database.read":
                return await side.read(statement, step.values)
            case "database.write":
                return await side.write((statement, step.values))
            case "database.write_all":
                return await side.write(*self.changes(side, step))
            case "late":
                return await self.late(side, session, statement, step.values)
        raise AssertionError(step.verb)

    def changes(self, side: Side, step: Step) -> list[tuple[Any, Any]]:
        return [(self.statements[side][number].element, values) for number, values in step.values]

    async def late(self, side: Side, session: Any, statement: Any, values: Any) -> Any:
        work: Awaitable[Any] = outcome(side.write((statement, values)))
        if isinstance(side, Subject):
            work = asyncio.ensure_future(work)
            await asyncio.sleep(0.001)
        committed = await outcome(session.commit())
        return Both((committed, await work))


async def run(case: Case, subject: Subject, oracle: Oracle) -> list[str]:
    """What differs between the sides; nothing if they agree."""
    for side in (subject, oracle):
        await side.reset()
    return await Run(case, subject, oracle).differences()
