"""Do `DatabaseEngine` and the project's session answer as SQLAlchemy does?

A *case* (case.py) is data: statements, and steps of several units of work that take turns.
`generate` makes one from a seed. `run` executes its steps on two databases, once through the
project's `DatabaseEngine` and once through an `AsyncSession` on a stock engine (sides.py), and
compares the results with their types, the errors, and what the tables contain in the end.
SQLAlchemy is the oracle: nothing here says what a statement should do, or how it is executed.

`pytest tests/system/units` runs some dozens of cases, `make units` ten thousand, and
`python -m tests.system.units --seed N` shows one.
"""
