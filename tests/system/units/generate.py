"""A case from a seed: which unit takes which step, in an order in which none waits for another."""

from random import Random
from typing import Any

from tests.system.units import statements
from tests.system.units.case import Case, Step
from tests.system.units.values import value

ALTERATIONS = 5
"""The number of changes of the schema that `sides.alter` knows."""

_BLOCK = 500
_KNOWN = 200
"""Statements that the cases of a block have in common."""


class _Maker:
    def __init__(self, seed: int, *, for_sqlite: bool) -> None:
        self.random = Random(seed)
        self.for_sqlite = for_sqlite
        # Each is met again in some other cases: a statement may be executed differently by then.
        first = seed // _BLOCK * _BLOCK
        self.numbers = tuple(
            first + self.random.randrange(_KNOWN) for _ in range(self.random.randint(2, 7))
        )
        self.statements = [statements.build(each, for_sqlite=for_sqlite) for each in self.numbers]
        self.units = tuple(self.random.random() < 0.7 for _ in range(self.random.randint(1, 3)))
        self.writing: int | None = None
        self.reading: set[int] = set()
        self.steps: list[Step] = []

    def make(self) -> Case:
        for _ in range(self.random.randint(4, 14)):
            self.add_step()
        return Case(self.numbers, self.units, tuple(self.steps))

    def add_step(self) -> None:
        chance = self.random.random()
        if chance < 0.04 and self.writing is None and not self.reading:
            number = self.random.randrange(ALTERATIONS)
            self.steps.append(Step("alter", statement=number))
        elif chance < 0.12:
            self.add_together()
        elif chance < 0.45:
            self.add_single()
        else:
            self.add_to_unit(self.random.randrange(len(self.units)))

    def add_single(self) -> None:
        """A statement in a transaction by itself: it may write unless a unit holds its lock."""
        number = self.pick(may_write=self.writing is None)
        if number is not None and self.is_change(number) and self.random.random() < 0.2:
            self.steps.append(
                Step("database.write_all", values=self.changes(), cancelled=self.cancelled())
            )
        elif number is not None:
            verb = "database.write" if self.is_change(number) else "database.read"
            self.steps.append(self.step(verb, number))
        elif self.writing is not None and self.for_sqlite:
            number = self.random.randrange(len(self.statements))
            if self.is_change(number):
                self.steps.append(self.step("late", number, unit=self.writing))
                if self.steps[-1].cancelled is None:
                    self.writing = None  # it was committed

    def add_together(self) -> None:
        ops: list[tuple[str, int | None, Any]] = []
        for _ in range(self.random.randint(2, 6)):
            if self.writing is None and self.random.random() < 0.3:
                ops.append(("database.write", None, {"key": 1, "by": self.random.randint(1, 9)}))
            elif (number := self.pick(may_write=False)) is not None and not self.counts(number):
                ops.append(("database.read", number, self.values(number)))
        self.steps.append(Step("together", values=tuple(ops)))

    def add_to_unit(self, unit: int) -> None:
        may_write = self.units[unit]
        if may_write and self.writing not in {None, unit}:
            return
        is_open = self.writing == unit or unit in self.reading
        if is_open and self.random.random() < 0.3:
            self.steps.append(
                Step(self.random.choice(("commit", "commit", "rollback", "fail")), unit)
            )
            self.close(unit)
            return
        number = self.pick(may_write=may_write)
        if number is None:
            return
        if may_write and self.random.random() < 0.1:
            values = {"id": value("id", self.random), "name": value("name", self.random)}
            step = Step(self.random.choice(("add", "pend")), unit, values=values)
        elif self.is_change(number) and self.random.random() < 0.1:
            step = Step("write_all", unit, values=self.changes(), cancelled=self.cancelled())
        else:
            step = self.step(self.verb(number), number, unit=unit)
        self.steps.append(step)
        # After a cancellation the unit is rolled back.
        if step.cancelled is not None or step.verb in {"write", "write_all"}:
            self.close(unit)
        elif may_write:
            self.writing = unit
        else:
            self.reading.add(unit)

    def verb(self, number: int) -> str:
        chosen = self.statements[number]
        if chosen.writes and not chosen.returns and self.random.random() < 0.1:
            return "many"
        if self.random.random() < (0.6 if chosen.writes else 0.2):
            return "execute"
        if chosen.writes:
            return "write"
        return "scalars" if self.random.random() < 0.1 else "read"

    def close(self, unit: int) -> None:
        self.reading.discard(unit)
        if self.writing == unit:
            self.writing = None

    def pick(self, *, may_write: bool) -> int | None:
        number = self.random.randrange(len(self.statements))
        return None if self.is_change(number) and not may_write else number

    def is_change(self, number: int) -> bool:
        return self.statements[number].writes

    def counts(self, number: int) -> bool:
        return "counters" in str(self.statements[number].element)

    def step(self, verb: str, number: int, unit: int = 0) -> Step:
        if verb == "many":
            sets = [self.values(number) for _ in range(self.random.randint(1, 3))]
            return Step(
                verb, unit, number, [{key: one.get(key) for key in sets[0]} for one in sets]
            )
        return Step(verb, unit, number, self.values(number), self.cancelled())

    def cancelled(self) -> int | None:
        return self.random.randrange(30) if self.random.random() < 0.04 else None

    def changes(self) -> tuple[tuple[int, Any], ...]:
        """Changes that belong together: statements, each with its values."""
        known = [number for number in range(len(self.statements)) if self.is_change(number)]
        chosen = [self.random.choice(known) for _ in range(self.random.randint(1, 4))]
        return tuple((number, self.values(number)) for number in chosen)

    def values(self, number: int) -> dict[str, Any]:
        chosen = self.statements[number]
        values = {name: value(kind, self.random) for name, kind in chosen.takes.items()}
        for name, kind in chosen.may_take.items():
            if self.random.random() < 0.5:
                values[name] = value(kind, self.random)
        chance = self.random.random()
        if values and chance < 0.02:
            values.pop(self.random.choice(list(values)))
        elif chance < 0.04:
            values["surplus"] = 1
        return values


def generate(seed: int, *, for_sqlite: bool) -> Case:
    """The case of a seed. While a unit holds a transaction that writes, no other one writes."""
    return _Maker(seed, for_sqlite=for_sqlite).make()
