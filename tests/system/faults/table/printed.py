"""The rows as text: one line each while they run, and the table at the end."""

from collections.abc import Sequence

from tests.system.faults.table.row import Row

COLUMNS = (
    "fault",
    "injected by",
    "on",
    "sent",
    "answered",
    "lost",
    "doubled",
    "leaked",
    "recovered after",
    "pings, p99",
    "",
)


def line(row: Row) -> str:
    told = [f"{row.name} on {row.engine}, {row.seconds:.0f} s: {_verdict(row)}"]
    told += [f"    sent {row.sent}: {_answers(row)}; pings {row.pings}"] if row.sent else []
    return "\n".join(told)


def table(rows: Sequence[Row]) -> str:
    """In Markdown, as in docs/report.md."""
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    return "\n".join(lines + [_line(_cells(row)) for row in rows])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row) -> list[str]:
    fault = [row.name, row.how, row.engine]
    if row.skipped:
        return [*fault, *[""] * 7, f"skipped: {row.skipped}"]
    if row.told:
        return [*fault, "", row.told, *["0" if row.is_right else "RED"] * 3, "", "", ""]
    recovered = "never" if row.recovered is None else f"{row.recovered:.2f} s"
    sums = [_sum(one) for one in (row.lost, row.doubled, row.leaked)]
    found = "" if row.is_right else _verdict(row)
    return [*fault, f"{row.sent}", _answers(row), *sums, recovered, row.pings, found]


def _sum(found: Sequence[str]) -> str:
    return "; ".join(found) or "0"


def _answers(row: Row) -> str:
    return ", ".join(f"{status} x {count}" for status, count in sorted(row.answers.items()))


def _verdict(row: Row) -> str:
    if row.skipped:
        return f"skipped: {row.skipped}"
    named = ("lost", row.lost), ("doubled", row.doubled), ("leaked", row.leaked), ("", row.wrong)
    found = [f"{name} {'; '.join(what)}".strip() for name, what in named if what]
    return f"RED: {'; '.join(found)}" if found else "held"
