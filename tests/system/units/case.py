"""A case: units of work over some statements, as data."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """One step of a unit of work.

    `verb` says what is done:

    read, write, write_all  the session of the unit as a `Source`; the last two commit
    execute, scalars        a statement in the session, as `AsyncSession` has it
    many                    a statement in the session for each of several sets of values
    add, pend               an entity is added to the session, and flushed at once or later
    commit, rollback        end the transaction of the session
    fail                    an error leaves the block of the session
    database.read, database.write, database.write_all   the database as a `Source`
    late                    a `database.write` that begins while the unit holds its transaction,
                            which is committed then
    together                several `database.read` or `database.write` at the same time
    alter                   somebody else changes the schema

    `cancelled` is the number of turns of the event loop after which the step is cancelled.
    """

    verb: str
    unit: int = 0
    statement: int = 0
    values: Any = field(default_factory=dict)
    cancelled: int | None = None


ENDS = frozenset({"commit", "rollback", "fail", "write", "write_all", "late"})
"""After these, and after a cancellation, the session of the unit is in no transaction."""

_ALONE = frozenset({"database.write", "database.write_all", "alter"})


@dataclass(frozen=True)
class Case:
    """`statements` are numbers for `statements.build`; `units` says which sessions may write."""

    statements: tuple[int, ...]
    units: tuple[bool, ...]
    steps: tuple[Step, ...]

    def never_waits(self) -> bool:
        """Whether no step needs what the transaction of another unit holds."""
        is_open: set[int] = set()
        for step in self.steps:
            writing = {unit for unit in is_open if self.units[unit]}
            if step.verb == "alter" and is_open:
                return False
            if step.verb in {"database.read", "together", *_ALONE}:
                if writing and (step.verb in _ALONE or any(op[1] is None for op in _ops(step))):
                    return False
                continue
            if step.verb == "late" and step.unit not in writing:
                return False
            if self.units[step.unit] and writing - {step.unit}:
                return False
            if step.verb == "late" and step.cancelled is not None:
                continue
            if step.verb in ENDS or step.cancelled is not None:
                is_open.discard(step.unit)
            else:
                is_open.add(step.unit)
        return True

    def __str__(self) -> str:
        lines = [f"units (write): {self.units}"]
        lines += [f"  {number:2} {step}" for number, step in enumerate(self.steps)]
        return "\n".join(lines)


def _ops(step: Step) -> tuple[tuple[str, int | None, Any], ...]:
    return step.values if step.verb == "together" else ()
