"""The mails: what they say; nothing in a report can break them."""

import email
import email.policy
import re
import time
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartapp.breadcrumbs import Breadcrumb
from quartapp.mail.strings import ascii_address, one_line, plain
from quartapp.redact.traceback import ExceptionInfo, Frame
from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.mails.message import GroupSummary, Letterhead, build_digest, build_message
from quartapp.reporting.report import Origin, Report, RequestInfo

NOW = 1_790_000_000.0
LETTERHEAD = Letterhead(
    "errors@example.com",
    ("ops@example.com", "dev@example.com"),
    app="microblog",
    inbox_url="https://blog.example/inbox",
)
LIBRARY = Frame("quart/app.py", "quart.app", "Quart.dispatch_request", 1598)
VIEW = Frame(
    *("web/posts.py", "shop.web.posts", "index", 41, True, 40),
    source=("    cache = {}", "    return cache[name]", ""),
    variables=(("name", "'Zoë'"), ("password", "[hidden]")),
)
REPORT = Report(
    id="1",
    fingerprint="a887c0de-1",
    time=NOW,
    title="KeyError in web.posts.index",
    exceptions=(
        ExceptionInfo("KeyError", "'Zoë'", frames=(LIBRARY, LIBRARY, VIEW), notes=("once more",)),
        ExceptionInfo("ValueError", "the cause", "cause", frames=(LIBRARY,), left_out=3),
    ),
    request=RequestInfo(
        "GET",
        "http://localhost/user/Zo%C3%AB",
        "/user/<name>",
        "web.user",
        (("User-Agent", "curl"),),
    ),
    user_id="7",
    reference="ABCD-1234",
    trace="0af7651916cd43dd8448eb211c80319c",
    request_id="id-of-the-request",
    breadcrumbs=(
        *[Breadcrumb("sql", 0.001, f"SELECT {number}", took=0.00012) for number in range(12)],
        Breadcrumb("log", 0.25, "no\nroom for <b>Zoë</b>", "WARNING", "shop.orders"),
    ),
    origin=Origin("production", "v1.2", "web1", "pid 7", {"python": "3.11.7"}),
)
GROUP = GroupSummary("a887c0de-1", REPORT.title, 1234, NOW - 60, NOW, 12, ("web1", "web2"))
NEW = Alert(Kind.NEW, 1, 1)


def parts(message: EmailMessage) -> tuple[str, str]:
    text, html = (part.get_content().replace("\r\n", "\n") for part in message.iter_parts())
    return text, html


def sent(message: EmailMessage) -> EmailMessage:
    """The mail as it arrives. It has the same headers if it is parsed again."""
    data = message.as_bytes()
    assert data.isascii()
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))
    assert b"\n" not in data.replace(b"\r\n", b"")
    received = email.message_from_bytes(data, policy=email.policy.SMTP)
    assert received.defects == []
    return received


class Words(HTMLParser):
    """The visible text of a document. Fails for what a mail must not contain."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = dict(attributes)
        assert tag not in ("script", "img", "link", "iframe", "style")
        assert not any(name.startswith("on") for name in names)
        self.links += [names["href"] or ""] if "href" in names else []
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_subject_says_what_and_where() -> None:
    message = sent(build_message(NEW, GROUP, REPORT, LETTERHEAD, now=NOW))
    assert message["Subject"] == "[microblog prod] NEW KeyError in web.posts.index (#a887)"


@pytest.mark.parametrize(
    ("alert", "word", "sentence"),
    [
        (Alert(Kind.REGRESSION, 1, 2), "REGRESSION", "is back"),
        (Alert(Kind.UNMUTED, 1, 1), "UNMUTED", "no longer"),
        (Alert(Kind.ESCALATION, 3, 1), "1,000+", "passed 1,000 occurrences"),
        (Alert(Kind.RATE, 1, 1, 31), "FREQUENT", "31 times in five minutes"),
        (Alert(Kind.MORE, 5000, 1, 4), "MORE", "4 times since the mail before"),
        (Alert(Kind.OCCURRENCE, 5000, 1), "ERROR", "You asked for every occurrence"),
        (
            Alert(Kind.OVER, 1, 1, 840, NOW - 120),
            "OVER",
            "840 times from 2026-09-21 14:11:20 UTC to 2026-09-21 14:13:20 UTC",
        ),
        (Alert(Kind.OCCURRENCE, 9, 1), "ERROR", "every occurrence"),
    ],
)
def test_says_why_it_is_sent(alert: Alert, word: str, sentence: str) -> None:
    message = build_message(alert, GROUP, REPORT, LETTERHEAD, now=NOW)
    assert f"] {word} KeyError" in message["Subject"]
    text, html = parts(message)
    assert sentence in text
    assert sentence in Words(html).text


def test_both_parts_tell_everything_in_its_order() -> None:
    text, html = parts(sent(build_message(NEW, GROUP, REPORT, LETTERHEAD, now=NOW)))
    expected = [
        *("KeyError in web.posts.index", "'Zoë'", "not seen before", "1,234 times"),
        *("2026-09-21 14:12:20 UTC", "v1.2", "web1, web2", "GET http://localhost/user/Zo%C3%AB"),
        *(
            "/user/<name>",
            "7",
            "ABCD-1234",
            "id-of-the-request",
            "0af7651916cd43dd8448eb211c80319c",
            "3.11.7",
            "KeyError",
            "once more",
            "… 2 in quart",
        ),
        *("web/posts.py:41", "index", "return cache[name]", "name", "'Zoë'", "[hidden]"),
        *("caused by", "ValueError", "the cause", "quart/app.py:1598"),
        *("did before", "0.001 s", "0.1 ms: SELECT 3", "0.1 ms: SELECT 11"),
        *("0.250 s", "WARNING in shop.orders: no room for <b>Zoë</b>"),
    ]
    for part in (text, Words(html).text):
        position = 0
        for word in expected:
            position = part.index(word, position)
        assert "SELECT 2" not in part
    assert "https://blog.example/inbox/12" in text
    assert Words(html).links == ["https://blog.example/inbox/12"]


def test_all_mails_of_a_group_are_one_conversation() -> None:
    first = build_message(NEW, GROUP, REPORT, LETTERHEAD, now=NOW)
    again = build_message(NEW, GROUP, None, LETTERHEAD, now=NOW + 60)
    later = build_message(Alert(Kind.OVER, 1, 1), GROUP, REPORT, LETTERHEAD, now=NOW + 60)
    assert first["Message-ID"] == again["Message-ID"] == "<a887c0de-1.new.1.1@localhost>"
    assert first["References"] is None
    assert later["References"] == later["In-Reply-To"] == first["Message-ID"]
    assert later["Message-ID"] != first["Message-ID"]
    assert first["List-Id"] == "<errors.microblog.localhost>"
    assert first["Auto-Submitted"] == "auto-generated"


def test_a_mail_without_a_sample_still_says_what_is_known() -> None:
    group = GroupSummary(
        "a887c0de-1", "KeyError in web", 3, NOW, NOW, extra={"From": "the journal"}
    )
    text, html = parts(build_message(NEW, group, None, LETTERHEAD, now=NOW))
    assert "3 times" in text
    assert "the journal" in Words(html).text
    assert Words(html).links == []


def test_the_counts_by_the_minute_are_a_line_of_bars() -> None:
    group = GroupSummary("a", "E", 17, NOW, NOW, per_minute=(0, 1, 8, 4))
    text, _ = parts(build_message(NEW, group, REPORT, LETTERHEAD, now=NOW))
    assert "17 times, by the minute ▁█▄" in text
    assert "minute" not in parts(build_message(NEW, GROUP, REPORT, LETTERHEAD, now=NOW))[0]
    once = GroupSummary("a", "E", 1, NOW, NOW, per_minute=(*[0] * 59, 1))
    assert "minute" not in parts(build_message(NEW, once, REPORT, LETTERHEAD, now=NOW))[0]


def test_no_header_begins_on_its_second_line() -> None:
    group = GroupSummary("a887" * 8 + "-1", "IntegrityError in web." + "x" * 60, 17, NOW, NOW)
    alert = Alert(Kind.ESCALATION, 3, 1)
    letterhead = Letterhead("errors@example.com", ("ops@example.com",), domain="d" * 60)
    data = build_message(alert, group, REPORT, letterhead, now=NOW).as_bytes()
    assert not re.findall(rb"^[\w-]+:\s*$", data.partition(b"\r\n\r\n")[0], re.MULTILINE)


def test_one_prefix_or_another() -> None:
    letterhead = Letterhead("a@b.example", ("c@d.example",), prefix="[Fehler]")
    subject = build_message(NEW, GROUP, REPORT, letterhead, now=NOW)["Subject"]
    assert subject.startswith("[Fehler] NEW KeyError")


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("errors@example.com", "microblog errors <errors@example.com>"),
        ("Fehler von Zoë <errors@example.com>", "Fehler von Zoë <errors@example.com>"),
        ("errors@bücher.example", "microblog errors <errors@xn--bcher-kva.example>"),
        ("zoë@example.com", "microblog errors <no-reply@example.org>"),
        ("nonsense", "microblog errors <no-reply@example.org>"),
    ],
)
def test_the_sender_is_one_that_every_server_takes(sender: str, expected: str) -> None:
    recipients = ("ops@example.com",)
    letterhead = Letterhead(sender, recipients, app="microblog", domain="example.org")
    message = sent(build_message(NEW, GROUP, REPORT, letterhead, now=NOW))
    assert message["From"] == expected


def test_recipients_without_an_ascii_form_are_left_to_the_envelope() -> None:
    some = Letterhead("a@b.example", ("zoë@example.com", "ops@bücher.example"))
    message = sent(build_message(NEW, GROUP, REPORT, some, now=NOW))
    assert message["To"] == "ops@xn--bcher-kva.example"
    none = Letterhead("a@b.example", ("zoë@example.com",))
    message = sent(build_message(NEW, GROUP, REPORT, none, now=NOW))
    assert message["To"] == "undisclosed-recipients:;"


def test_a_digest_lists_all_and_links_them() -> None:
    groups = [
        GroupSummary(f"{n:08x}-1", f"Fehler {n}: ü", n, NOW, NOW, id=n) for n in range(1, 120)
    ]
    alerts = [(NEW, group) for group in groups]
    message = sent(build_digest(alerts, LETTERHEAD, now=NOW))
    assert message["Subject"] == "[microblog prod] 119 alerts about 119 errors"
    text, html = parts(message)
    assert "Fehler 100: ü (#0000)" in text
    assert "19 more are in the inbox" in text
    assert Words(html).links[0] == "https://blog.example/inbox/1"
    again = build_digest(alerts, LETTERHEAD, now=NOW + 1)
    assert again["Message-ID"] == message["Message-ID"]
    assert build_digest(alerts[1:], LETTERHEAD, now=NOW)["Message-ID"] != message["Message-ID"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nBcc: x@example.com", "a Bcc: x@example.com"),
        ("a\u2028b\u2029c\x0bd\x85e", "abcde"),
        ("\u202egnp.exe", "gnp.exe"),
        ("=?utf-8?q?Bcc?=", "= ?utf-8?q?Bcc?="),
        ("lone \ud800 half", "lone half"),
        ("x" * 300, "x" * 119 + "…"),
        ("Grüße, Welt 🐍", "Grüße, Welt 🐍"),
        ("\0\x01\x7f", ""),
    ],
)
def test_a_subject_is_one_harmless_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


def test_bodies_keep_their_lines_and_lose_what_is_not_seen() -> None:
    assert plain("a\tb\r\nc\rd\ne\u202e\u2066f\ud800\x1b[31m") == "a\tb\nc\nd\nef[31m"


@pytest.mark.parametrize(
    "address",
    ["zoë@example.com", "a b@example.com", "a@b\nc.example", "nobody", "", "@", "a@" + "ü" * 80],
)
def test_has_no_ascii_form(address: str) -> None:
    assert ascii_address(address) is None


anything = st.text(max_size=80) | st.text("\r\n\0\u2028\u202e=?:;<>@\"',ü🐍 \ud800abc", max_size=80)
pairs = st.lists(st.tuples(anything, anything), max_size=3).map(tuple)
frames = st.builds(
    *(Frame, anything, anything, anything, st.integers(), st.booleans(), st.integers(0, 99)),
    st.lists(anything, max_size=3).map(tuple),
    pairs,
)
fuzzed_reports = st.builds(
    Report,
    id=anything,
    fingerprint=anything,
    time=st.floats(),
    title=anything,
    message=anything,
    exceptions=st.lists(
        st.builds(
            *(ExceptionInfo, anything, anything, anything),
            st.lists(frames, max_size=3).map(tuple),
            st.integers(0, 9),
            st.lists(anything, max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    request=st.none() | st.builds(RequestInfo, anything, anything, anything, anything, pairs),
    user_id=anything,
    reference=anything,
    trace=anything,
    request_id=anything,
    breadcrumbs=st.lists(
        st.builds(Breadcrumb, st.just("log"), st.floats(), anything, anything, anything), max_size=2
    ).map(tuple),
    extra=pairs,
    origin=st.builds(
        Origin,
        anything,
        anything,
        anything,
        anything,
        st.dictionaries(anything, anything, max_size=2),
    ),
)
fuzzed_groups = st.builds(
    *(GroupSummary, anything, anything, st.integers(), st.floats(), st.floats()),
    st.none() | st.integers(),
    st.lists(anything, max_size=2).map(tuple),
    st.lists(anything, max_size=2).map(tuple),
    st.lists(st.integers(), max_size=4).map(tuple),
    st.dictionaries(anything, anything, max_size=2),
)
fuzzed_alerts = st.builds(
    *(Alert, st.sampled_from(Kind), st.integers(0, 20), st.integers(0, 99)),
    st.integers(),
    st.floats(),
)
HEADERS = {
    *("From", "To", "Date", "List-Id", "Auto-Submitted", "X-Auto-Response-Suppress", "Subject"),
    *("Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type"),
}


@pytest.mark.slow
@settings(max_examples=100)
@given(fuzzed_alerts, fuzzed_groups, st.none() | fuzzed_reports, anything, anything)
def test_whatever_is_in_a_report_the_mail_parses_back(
    alert: Alert, group: GroupSummary, report: Report | None, app: str, prefix: str
) -> None:
    letterhead = Letterhead(
        f"{app} <errors@example.com>", ("ops@example.com",), app=app, prefix=prefix, domain=app
    )
    message = build_message(alert, group, report, letterhead, now=NOW)
    received = sent(message)
    assert set(received.keys()) <= HEADERS
    assert len(received.keys()) == len(set(received.keys()))
    assert received["Subject"] == message["Subject"]
    assert received["To"] == "ops@example.com"
    assert re.fullmatch(r"<[A-Za-z0-9.-]+@[A-Za-z0-9.-]+>", received["Message-ID"])
    text, html = parts(received)
    assert (text, html) == parts(message)
    assert plain(group.title).split("\n")[0] in text
    assert plain(group.title).strip().split("\n")[0].strip() in Words(html).text
    for frame in report.exceptions[0].frames if report and report.exceptions else ():
        for name, value in frame.variables if frame.in_app else ():
            assert plain(f"{name} = {value}") in text


@pytest.mark.slow
@settings(max_examples=50)
@given(st.lists(st.tuples(fuzzed_alerts, fuzzed_groups), min_size=1, max_size=4))
def test_whatever_is_in_a_digest_it_parses_back(alerts: list[tuple[Alert, GroupSummary]]) -> None:
    message = build_digest(alerts, LETTERHEAD, now=NOW)
    received = sent(message)
    assert received["Subject"] == message["Subject"]
    Words(parts(received)[1])


def test_the_largest_mail_is_built_in_good_time() -> None:
    frame = Frame("ü.py", "m", "f", 1, True, 1, ("ü" * 150,) * 6, (("name", "ü" * 800),) * 9)
    report = Report("1", "a", NOW, "T", exceptions=(ExceptionInfo("E", "ü", frames=(frame,) * 60),))
    report = Report.from_json(report.to_json())
    start = time.thread_time()
    data = build_message(NEW, GROUP, report, LETTERHEAD, now=NOW).as_bytes()
    assert len(data) < 1_000_000
    assert time.thread_time() - start < 5
