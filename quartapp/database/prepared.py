"""Statements of SQLAlchemy Core that are compiled once, and executed by the driver alone.

Only what SQLAlchemy documents is used: `compile`, `exported_columns`, and the bind and result
processors of types. What needs more at each execution is not prepared: lists in `IN`, `text()`,
defaults that Python computes, types that ask which type the driver returned, execution options.
"""

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Executable
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import dml, selectable, visitors

from quartapp.database.source import Rows, Values


class Declined(Exception):
    """SQLAlchemy is to execute a statement: it was not executed, or has changed nothing."""


class Prepared:
    """The SQL of a statement, and how values become parameters, and a driver's rows rows."""

    __slots__ = ("_defaults", "_gives", "_names", "_takes", "_width", "late_until", "sql")

    def __init__(self, statement: Any, dialect: Dialect, keys: list[str] | None) -> None:
        """Raises TypeError for a statement that cannot be prepared, or SQLAlchemy's errors."""
        compiled = statement.compile(dialect=dialect, column_keys=keys)
        binds = compiled.binds
        if any(
            bind.expanding or bind.literal_execute or bind.callable for bind in binds.values()
        ) or (compiled.prefetch or compiled.escaped_bind_names):
            raise TypeError("it is rendered or computed at each execution")
        self.sql: str = compiled.string
        self.late_until = 0.0
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._defaults = {name: bind.value for name, bind in binds.items() if not bind.required}
        self._takes: list[Callable[[Any], Any] | None] = [
            binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in self._names
        ]
        types = [column.type.dialect_impl(dialect) for column in statement.exported_columns]
        gives = [(place, each.result_processor(dialect, None)) for place, each in enumerate(types)]
        self._width = len(types)
        self._gives = [(place, give) for place, give in gives if give]

    def parameters(self, values: Values) -> list[Any]:
        """The positional parameters of an execution. Raises Declined if a value is impossible."""
        given = {**self._defaults, **values}
        try:
            return [
                given[name] if take is None else take(given[name])
                for name, take in zip(self._names, self._takes, strict=True)
            ]
        except Exception as error:  # a type may raise anything
            raise Declined from error

    def rows(self, raw: Sequence[Any]) -> Rows:
        """The rows that the driver returned, with the values that the columns' types return."""
        if raw and len(raw[0]) != self._width:
            raise Declined
        if not self._gives:
            return [tuple(each) for each in raw]
        rows = []
        try:
            for each in raw:
                row = list(each)
                for place, give in self._gives:
                    row[place] = give(row[place])
                rows.append(tuple(row))
        except Exception as error:  # see parameters
            raise Declined from error
        return rows


class Preparer:
    """The prepared statements for one dialect, kept as long as the statements are.

    A statement is prepared when it is seen for the second time. One that is built for each
    execution would otherwise be compiled each time, while SQLAlchemy finds it in its cache.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._kept: WeakKeyDictionary[Executable, dict[tuple[str, ...], Prepared | None]]
        self._kept = WeakKeyDictionary()

    def find(self, statement: Executable, values: Values) -> Prepared:
        """The prepared form. Raises Declined for a statement that has none, or not yet."""
        forms = self._kept.get(statement)
        if forms is None:
            self._kept[statement] = {}
            raise Declined
        # The names of the values decide which columns an INSERT or UPDATE sets.
        names = tuple(values) if isinstance(statement, dml.ValuesBase) else ()
        if names not in forms:
            forms[names] = self._prepare(statement, list(names) or None)
        prepared = forms[names]
        if prepared is None:
            raise Declined
        return prepared

    def _prepare(self, statement: Any, keys: list[str] | None) -> Prepared | None:
        changes = [isinstance(part, dml.UpdateBase) for part in visitors.iterate(statement)]
        is_plain = isinstance(statement, dml.UpdateBase | selectable.SelectBase)
        # A SELECT that changes something in a CTE would have to be rolled back.
        if not is_plain or any(changes[1:]) or statement.get_execution_options():
            return None
        try:
            return Prepared(statement, self._dialect, keys)
        except (SQLAlchemyError, TypeError):
            return None


class Unprepared(Preparer):
    """For a driver that only SQLAlchemy can use."""

    def find(self, statement: Executable, values: Values) -> Prepared:
        """Raises Declined."""
        raise Declined
