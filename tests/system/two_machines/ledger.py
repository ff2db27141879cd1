"""What clients did and were answered, and what of it must be found afterwards."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """One answer: its status (0: none came), and the seconds until it was there."""

    status: int
    seconds: float
    retry_after: str = ""


@dataclass
class Ledger:
    """What one phase sent. A post is known by its text, which is sent once."""

    gets: list[Answer] = field(default_factory=list)
    posts: dict[str, Answer] = field(default_factory=dict)
    errors: list[Answer] = field(default_factory=list)
    """Requests of a route that fails; a 500 says that the error is recorded."""

    @property
    def failed_gets(self) -> list[Answer]:
        return [each for each in self.gets if each.status != 200]

    @property
    def acknowledged(self) -> list[str]:
        return [text for text, answer in self.posts.items() if answer.status == 201]

    @property
    def recorded(self) -> int:
        return sum(each.status == 500 for each in self.errors)

    def __str__(self) -> str:
        longest = max((each.seconds for each in self.gets), default=0.0)
        refused = Counter(a.status for a in self.posts.values() if a.status != 201)
        others = ", ".join(f"{number} x {status}" for status, number in sorted(refused.items()))
        return (
            f"{len(self.gets)} GETs, {len(self.failed_gets)} failed, longest {longest:.1f} s; "
            f"{len(self.acknowledged)} of {len(self.posts)} posts acknowledged"
            + (f" (others: {others})" if others else "")
        )


def faults_of_posts(ledgers: Iterable[Ledger], stored: Mapping[str, int]) -> list[str]:
    """What is wrong with the posts in the database: how often each text is there."""
    sent = {text for ledger in ledgers for text in ledger.posts}
    promised = {text for ledger in ledgers for text in ledger.acknowledged}
    faults = [f"lost although acknowledged: {text}" for text in sorted(promised - set(stored))]
    faults += [f"there {n} times: {text}" for text, n in sorted(stored.items()) if n > 1]
    return faults + [f"nobody sent: {text}" for text in sorted(set(stored) - sent)]


def faults_of_errors(ledgers: Iterable[Ledger], counted: int, repeated: int = 0) -> list[str]:
    """What is wrong with the count of errors. One that got no answer may have been recorded.

    Two machines have met those that nginx repeated, if the first one was only slow.
    """
    answers = [answer for ledger in ledgers for answer in ledger.errors]
    least = sum(answer.status == 500 for answer in answers)
    if least <= counted <= len(answers) + repeated:
        return []
    return [
        f"{counted} errors are counted, of {len(answers)} sent, {least} answered, and {repeated} of"
        " them sent again"
    ]
