"""Values for columns: common ones, those at the limits, and those that no column accepts."""

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any

from tests.system.units.tables import Colour

IDS = (1, 2, 3, 4, 5, 2**31, 2**40, 2**62)
NAMES = (
    "susan",
    "Susan",
    "ŝusan",
    "\U0001f600",
    "e\u0301",
    "",
    "'; --",
    "%s :x ?",
    "a\u2028b",
    "שלום",
)
TEXTS = (*NAMES, "x" * 500, "\u0001", "line\r\nline", "\ufeff", "\U0010ffff")
BAD_TEXTS = ("a\0b", "\ud800")
EAST = timezone(timedelta(hours=5, minutes=30))
TIMES = (
    datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    datetime(2026, 1, 2, 8, 34, 5, tzinfo=EAST),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(1, 1, 2, tzinfo=UTC),
)


class Other(enum.Enum):
    RED = "not a colour"


class Text(str):
    """A string of another class, as `StrEnum` and `Markup` are."""


class Strange:
    """An object that no driver knows."""

    def __repr__(self) -> str:
        return "Strange()"


def wrong(random: Random) -> Any:
    """A value that no column accepts, or that few do."""
    return random.choice(
        (
            Strange(),
            [1],
            {"a": 1},
            datetime(2026, 1, 1),  # noqa: DTZ001 - as it must not be
            "text",
            1.5,
            b"\0",
            2**63,
            -(2**70),
            Other.RED,
        )
    )


def text(random: Random) -> Any:
    if random.random() < 0.03:
        return random.choice(BAD_TEXTS)
    return Text(random.choice(TEXTS)) if random.random() < 0.05 else random.choice(TEXTS)


KINDS: Mapping[str, Callable[[Random], Any]] = {
    "id": lambda random: random.choice(IDS[:5]) if random.random() < 0.8 else random.choice(IDS),
    "name": lambda random: random.choice(NAMES),
    "text": text,
    "time": lambda random: random.choice(TIMES),
    "flag": lambda random: random.choice((True, False, True, False, 1, 0)),
    "small": lambda random: random.choice((0, 1, 2, -1, 2**31 - 1, True)),
    "count": lambda random: random.choice((0, 1, 2, 3, 10)),
    "colour": lambda random: random.choice(list(Colour)),
    "raw": lambda random: random.choice((b"", b"\0\xff", bytes(range(256)), bytearray(b"x"))),
    "ratio": lambda random: random.choice((0.0, 1.5, -0.1, 1e300, 2, float("inf"))),
    "price": lambda random: random.choice(
        (Decimal("1.25"), Decimal("-3"), Decimal("0.01"), 2, 1.5)
    ),
    "day": lambda random: random.choice((date(2026, 1, 2), date(1, 1, 1))),
    "json": lambda random: random.choice(({"a": [1, None]}, [], "x", 1, None, {"ü": 1.5})),
    "ids": lambda random: [random.choice(IDS) for _ in range(random.randrange(4))],
}
OPTIONAL = frozenset({"text", "time", "colour", "raw", "ratio", "price", "day"})


def value(kind: str, random: Random) -> Any:
    """A value of a kind; sometimes None, rarely one of a wrong type."""
    chance = random.random()
    if chance < 0.02:
        return wrong(random)
    if chance < 0.08 and kind in OPTIONAL:
        return None
    return KINDS[kind](random)
