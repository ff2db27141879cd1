"""The number of occurrences that the journal refused, in a file in its folder for commands."""

from dataclasses import dataclass
from pathlib import Path

from quartapp.mail.strings import moment
from quartapp.reporting.journal.shared import read_numbers, shared_numbers

_NAME = "losses"


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of all processes of this machine: `reports` occurrences lost their details, the
    last at `last`; `counted` of them were counted later, when there was room again."""

    reports: int = 0
    counted: int = 0
    last: float = 0.0

    def __str__(self) -> str:
        uncounted = self.reports - self.counted
        return (
            f"the details of {self.reports:,} errors were lost, the last at {moment(self.last)}"
            + (f"; {uncounted:,} of them are not counted" if uncounted else "")
        )


def read_losses(folder: Path) -> Losses:
    """The losses of the journal in this folder; zero if they cannot be read."""
    try:
        return _losses(read_numbers(folder / _NAME))
    except OSError:
        return Losses()


def add_losses(folder: Path, reports: int, counted: int, now: float) -> bool:
    """Add to the losses. False if the file cannot be written or is locked: try again later."""
    try:
        with shared_numbers(folder / _NAME, wait=False) as numbers:
            known = _losses(numbers)
            last = now if reports else known.last
            numbers[:] = [known.reports + reports, known.counted + counted, last]
    except OSError:
        return False
    return True


def _losses(numbers: list[float]) -> Losses:
    if len(numbers) != 3:
        return Losses()
    return Losses(int(numbers[0]), int(numbers[1]), numbers[2])
