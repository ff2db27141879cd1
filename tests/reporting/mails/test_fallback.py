"""Mails directly from the journal, while the database is unreachable."""

from pathlib import Path

import pytest

from quartapp.mail.delivery import Server
from quartapp.reporting.journal.entries import Tick
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.mails.fallback import FallbackMailer
from quartapp.reporting.mails.message import Letterhead
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.report import Report
from quartapp.testing import MailServer

LETTERHEAD = Letterhead(sender="no-reply@example.com", recipients=("ops@example.com",))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(tmp_path / "journal")
    for number in range(8):
        report = Report(f"{number}", f"{number}" * 32, 1_900_000_000.0, f"KeyError {number}")
        made.append(report.encode())
        made.append(Tick(report.fingerprint, 1_900_000_000, 10 * number).encode())
    return made


@pytest.fixture
def server(mail_server: MailServer) -> Server:
    return Server(mail_server.host, mail_server.port)


async def test_tells_after_a_minute_ten_and_an_hour(
    journal: Journal, server: Server, mail_server: MailServer
) -> None:
    fallback = FallbackMailer(journal, server, LETTERHEAD)
    told = [await fallback.send_due(away, {}) for away in (30, 59, 61, 300, 601, 700, 3700, 90000)]
    assert told == [0, 0, 6, 0, 6, 0, 6, 0]
    subjects = [str(mail.message["Subject"]) for mail in mail_server.mails[:6]]
    assert "KeyError 7" in subjects[0]
    assert "3 alerts about 3 errors" in subjects[5]
    assert "unreachable since" in mail_server.mails[0].text
    assert "71" in mail_server.mails[0].text
    ids = [mail.message["Message-ID"] for mail in mail_server.mails]
    assert len(set(ids[:5] + ids[6:11])) == 10


async def test_one_process_of_a_machine_tells(
    journal: Journal, server: Server, mail_server: MailServer
) -> None:
    processes = [FallbackMailer(journal, server, LETTERHEAD) for _ in range(3)]
    assert [await fallback.send_due(61, {}) for fallback in processes] == [6, 0, 0]


async def test_a_database_that_comes_and_goes_makes_no_flood(
    journal: Journal, server: Server, mail_server: MailServer
) -> None:
    now = 1_900_000_000.0
    processes = [FallbackMailer(journal, server, LETTERHEAD, lambda: now) for _ in range(2)]
    for _ in range(20):
        for fallback in processes:
            await fallback.send_due(61, {})
            fallback.reset()
        now += 120
    assert len(mail_server.mails) == 6
    assert await processes[0].send_due(601, {}) == 6  # this outage lasts
    for fallback in processes:
        fallback.reset()
    now += 3601
    assert [await fallback.send_due(61, {}) for fallback in processes] == [6, 0]


def test_the_end_of_an_outage_needs_no_disk(journal: Journal, server: Server) -> None:
    fallback = FallbackMailer(journal, server, LETTERHEAD)
    fallback._stage = 1
    fallback._path = journal.folder / "direct" / "below a file"
    (journal.folder / "direct").write_text("")
    fallback.reset()
    assert fallback._stage == 0


async def test_leaves_out_what_is_counted_already(
    journal: Journal, server: Server, mail_server: MailServer
) -> None:
    assert journal.segment_name
    fallback = FallbackMailer(journal, server, LETTERHEAD)
    assert await fallback.send_due(61, {journal.segment_name: 1_000_000}) == 0
    assert mail_server.mails == []


async def test_the_pipeline_tells_when_counting_fails(
    journal: Journal, server: Server, mail_server: MailServer
) -> None:
    class Broken:
        offsets: dict[str, int] = {}

        async def consume(self, _seconds: float) -> int:
            raise OSError("the database is away")

    class Recorded:
        def write_owed(self) -> None:
            pass

    pipeline = Pipeline(
        database=None,  # type: ignore[arg-type]  # away
        journal=journal,
        recorder=Recorded(),  # type: ignore[arg-type]
        mechanisms=None,  # type: ignore[arg-type]
        consumer=Broken(),  # type: ignore[arg-type]
        fallback=FallbackMailer(journal, server, LETTERHEAD),
    )
    await pipeline.count()
    assert mail_server.mails == []
    assert pipeline._away_since is not None
    pipeline._away_since -= 61
    await pipeline.count()
    assert len(mail_server.mails) == 6
