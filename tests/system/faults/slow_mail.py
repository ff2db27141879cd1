"""`python -m tests.system.faults.slow_mail [SECONDS]`: a mail server that takes so long for each
mail, with STARTTLS and a login, and an application that has 300 different errors to mail.

The tutorial's handler stops every request for as long as the server takes (6 s for three errors
with a server that takes 2 s). Here the loop never computes for 20 ms at a time, and never waits.
"""

import asyncio
import gc
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import SecretStr

from quartapp.mail.delivery import Server
from quartapp.reporting.pipeline import Pipeline
from tests.mailbox import Mailbox
from tests.mailing import mailing_app
from tests.shop.app import create_tables
from tests.system.faults.processor import queued

ACCOUNT = ("susan", "secret")
GROUPS = 300
LONGEST = 0.020
BLOCKED = 0.3


@dataclass
class Beats:
    """The time between two beats of the loop, without that for which the loop's thread had no
    processor, and the CPU time of the thread."""

    waited: list[float] = field(default_factory=list)
    computed: list[float] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        # On a busy machine another of our threads may sometimes hold the interpreter's lock
        # without
        # a processor, while this one waits for it. The CPU time does not depend on that.
        late = sum(gap > LONGEST for gap in self.waited)
        busy = late <= 3 + len(self.waited) // 50 and max(self.waited) < BLOCKED
        return busy and max(self.computed) < LONGEST

    def __str__(self) -> str:
        late = sum(gap > LONGEST for gap in self.waited)
        return (
            f"{len(self.waited)} beats; computed {max(self.computed) * 1000:.1f} ms at the most;"
            f" {late} were late, the latest by {max(self.waited) * 1000:.1f} ms"
        )


async def beat(beats: Beats) -> None:
    last, used = time.perf_counter() - queued(), time.thread_time()
    while True:
        await asyncio.sleep(0.001)
        now, computed = time.perf_counter() - queued(), time.thread_time()
        beats.waited.append(now - last)
        beats.computed.append(computed - used)
        last, used = now, computed


async def run(folder: Path, mailbox: Mailbox, mails: int) -> Beats:
    app = mailing_app(
        folder,
        f"sqlite:///{folder / 'slow.db'}",
        mailbox.port,
        MAIL_USE_TLS=True,
        MAIL_USERNAME=ACCOUNT[0],
        MAIL_PASSWORD=SecretStr(ACCOUNT[1]),
    )
    await create_tables(app)
    pipeline: Pipeline = app.extensions["reporting"]
    assert pipeline.mailer
    assert isinstance(pipeline.mailer.server, Server)
    pipeline.mailer.server = replace(pipeline.mailer.server, ca_file=str(mailbox.trusted))
    rules = pipeline.consumer.rules
    pipeline.consumer.rules = replace(rules, limits=replace(rules.limits, initial_delay=0.0))
    async with app.test_app():
        gc.collect()
        gc.freeze()  # a full garbage collection of all imported modules is not measured here
        beats = Beats()
        beating = asyncio.create_task(beat(beats))
        for number in range(GROUPS):
            error = RuntimeError("tell of it")
            error.__fingerprint__ = f"slow {number}"  # type: ignore[attr-defined]  # documented
            pipeline.recorder.record(error)
            await asyncio.sleep(0.001)
        await asyncio.to_thread(mailbox.wait_for, mails)
        beating.cancel()
    return beats


def measure(seconds: float, mails: int = 3) -> Beats:
    """The beats of the loop until so many mails were accepted."""
    # Each of MAIL, RCPT and DATA is answered after a third of the time.
    with (
        tempfile.TemporaryDirectory() as name,
        Mailbox(Path(name), *ACCOUNT, delay=seconds / 3) as mailbox,
    ):
        return asyncio.run(run(Path(name), mailbox, mails))


def main() -> int:
    beats = measure(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
    print(beats)
    print("held" if beats.is_right else "BROKEN")
    return not beats.is_right


if __name__ == "__main__":
    sys.exit(main())
