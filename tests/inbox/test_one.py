"""One error: its page, its JSON and its Markdown."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from quartapp.breadcrumbs import Breadcrumb
from quartapp.database.types import MAX_ID
from quartapp.inbox.one_markdown import MAX_BYTES
from quartapp.redact.traceback import ExceptionInfo, Frame
from quartapp.reporting.queries import detail
from quartapp.reporting.references import number_of
from quartapp.reporting.report import Origin, Report, RequestInfo
from quartapp.reporting.tables import ErrorReference
from tests.inbox.conftest import OPERATOR, make_app
from tests.inbox.one import REPORT, group_of, sample_of, store, store_everything

HOSTILE = (
    "</script></pre></title></textarea>--><script>alert('{}')</script><img src=x onerror=alert(1)>"
    "\"'` onfocus=alert(1) autofocus {{{{ 7 * 7 }}}} {{% include 'base.html' %}} [x](javascript:1)"
    " ![y](http://evil.example/) http://evil.example \u202eabc\u2066\u200b\ufeff\x1b[31m\x07&lt;"
)
"""What breaks out of HTML, templates, Markdown and terminals; `{}` is the name of the field."""


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    made: Quart = make_app(tmp_path)
    return made


async def body(client: Any, path: str, status: int = 200) -> str:
    answer = await client.get(f"/errors/{path}", headers=OPERATOR)
    text: str = await answer.get_data(as_text=True)
    assert answer.status_code == status, text
    assert answer.headers["Cache-Control"] == "no-store"
    return text


class Page(HTMLParser):
    """The text of a page and its elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile_report() -> tuple[Report, list[str]]:
    """A report of which each text is an attack, and the names of the fields."""
    names: list[str] = []

    def bad(name: str) -> str:
        names.append(name)
        return HOSTILE.format(name)

    frame = Frame(
        *(bad("file"), "module", bad("function"), 2, True, 1),
        source=(bad("line before"), bad("line")),
        variables=((bad("name of a local"), bad("local")),),
    )
    library = Frame(bad("file of a library"), "", bad("function of a library"), 1)
    columns = ((1, 10, 60),)
    report = Report(
        id="1",
        fingerprint="a887c0de-1",
        time=1.0,
        title=bad("title"),
        culprit=bad("culprit"),
        level="ERROR",
        logger=bad("logger"),
        mechanism=bad("mechanism"),
        exceptions=(
            ExceptionInfo(
                bad("type"), bad("message"), "", (library, frame), 0, (bad("note"),), columns
            ),
            ExceptionInfo(bad("type of the cause"), bad("message of the cause"), bad("relation")),
        ),
        request=RequestInfo(
            *(bad("method"), bad("url"), bad("route"), bad("endpoint")),
            ((bad("header"), bad("value of a header")),),
        ),
        user_id=bad("user"),
        reference="abcdefgh",
        extra=((bad("extra"), bad("value of extra")),),
        trace=bad("trace"),
        breadcrumbs=(
            Breadcrumb("log", 0.1, bad("line of the log"), bad("level"), bad("name of a logger")),
            Breadcrumb("sql", 0.2, bad("statement")),
        ),
        origin=Origin(
            bad("environment"),
            bad("release"),
            bad("host"),
            bad("worker"),
            {bad("package"): bad("version")},
        ),
    )
    return report, names


async def test_the_page_says_what_is_known(app: Quart, client: Any) -> None:
    text = Page(await body(client, str(await store_everything(app)))).text
    for known in (
        *("KeyError in orders.Orders.pay", "#a887", "1,234", "ongoing", "'NZ'", "a note"),
        *("shop/orders.py:41", "rates[card.country]", "Card(country='NZ')", "2 in quart"),
        *("caused by shop.rates.NoRate", "none today", "3 more calls are not kept"),
        *("POST http://shop/pay/7", "curl", "python 3.11.7", "basket", "Sample 2 of 2"),
        *("9 in 60 minutes", "9 in 24 hours", "1,234 in 30 days", "Release a text"),
        *("not sent in 2 tries", "This error was not seen before.", "KeyError in basket.total"),
        *("1.2 ms", "INFO in shop.orders", "paying order 7", "SQL, 2.1 ms, 1 row"),
        *("SELECT country FROM cards", "4bf92f3577b34da6a3ce929d0e0e4736"),
        *("susan wrote", "a text resolved it"),
    ):
        assert known in text


async def test_the_expression_that_failed_is_marked(app: Quart, client: Any) -> None:
    html = await body(client, str(await store_everything(app)))
    assert re.findall("<mark[^>]*>(.*?)</mark>", html) == ["rates[card.country]"]


async def test_no_text_of_an_error_is_markup(app: Quart, client: Any) -> None:
    report, names = hostile_report()
    assert len(names) > 30
    text = HOSTILE.format("what others wrote")
    html = await body(client, str(await store_everything(app, report, text)))
    page = Page(html)
    shown = " ".join(page.text.split())
    for name in names:
        assert f"alert('{name}')" in shown.lower(), name
    assert shown.count("alert('what others wrote')") > 5
    assert "{{ 7 * 7 }}" in shown
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u200b\u202a-\u202e\u2066-\u2069\ufeff]", html)
    for tag, attributes in page.elements:
        assert tag not in {"script", "img", "style", "iframe", "object", "embed", "base"}
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert "autofocus" not in attributes
        for name in ("href", "src", "action"):
            assert (attributes.get(name) or "/errors/").startswith(("/", "#"))


async def test_markdown_has_no_markup_of_a_report(app: Quart, client: Any) -> None:
    report, _ = hostile_report()
    first = replace(report.exceptions[0], message="```\n<b>http://x\n````\n# heading\n~~~\n")
    exceptions = (first, report.exceptions[1])
    report = replace(report, title="`````\n# x", exceptions=exceptions, extra=(("```", "````"),))
    text = await body(client, f"{await store_everything(app, report, HOSTILE)}.md")
    outside = _without_code(text)
    for sign in ("<", "](", "http", "{{", "alert", "\u202e", "\x1b"):
        assert sign not in outside
    headings = [line for line in outside.splitlines() if line.startswith("#")]
    assert headings[0].startswith("# ")
    assert len(headings) < 8
    assert len(text.encode()) <= MAX_BYTES


def _without_code(text: str) -> str:
    """What a reader of Markdown takes for text: neither blocks nor spans of code."""
    outside, fence = [], ""
    for line in text.split("\n"):
        run = re.match("`{3,}", line)
        if fence:
            if line == fence:
                fence = ""
        elif run and "`" not in line[run.end() :]:
            fence = run[0]
        else:
            outside.append(line)
    assert not fence
    return re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", "\n".join(outside))


@pytest.mark.parametrize("letter", ["é", "\U0001f40d", "`", "\n", "\u202e"])
@pytest.mark.parametrize("length", [50, 20_000])
async def test_any_text_is_at_most_4_kb_of_markdown(
    app: Quart, client: Any, letter: str, length: int
) -> None:
    text = letter * length
    frame = Frame(text, text, text, 2, True, 1, (text,) * 4, ((text, text),))
    info = ExceptionInfo(text, text, "cause", (frame,) * 5, 0, (text,), ((4, 10, 40),))
    request = RequestInfo(text, text, text, text, ((text, text),))
    report = replace(REPORT, exceptions=(info,) * 4, request=request, extra=((text, text),))
    group = group_of(report, title=text[:200])
    await store(app, group)
    await store(app, sample_of(report, group.id))
    found = await body(client, f"{group.id}.md")
    assert 100 < len(found.encode()) <= MAX_BYTES
    assert _without_code(found).count(letter) < 60
    await body(client, f"{group.id}")


async def test_markdown_has_the_most_useful_first(app: Quart, client: Any) -> None:
    text = await body(client, f"{await store_everything(app)}.md")
    wanted = (
        *("# `KeyError in orders.Orders.pay`", "Ongoing: 1,234 times", "Release `v1.2`"),
        *("Reference `abcdefgh`", "## `KeyError`", "'NZ'", "shop/orders.py:41, in Orders.pay"),
        *(">   41          return rates[card.country] * self.total\n" + " " * 23 + "^" * 19,),
        *("## Caused by `shop.rates.NoRate`", "Request: POST http://shop/pay/7"),
        *("0.015 s: 2.1 ms: SELECT country", "0.001 s: INFO in shop.orders: paying order 7"),
    )
    places = [text.find(each) for each in wanted]
    assert places == sorted(places)
    assert -1 not in places


async def test_json_has_the_newest_report_whole_and_the_counts(app: Quart, client: Any) -> None:
    found = json.loads(await body(client, f"{await store_everything(app)}.json"))
    assert Report.from_json(json.dumps(found["report"])) == REPORT
    assert (found["title"], found["state"], found["count"]) == (REPORT.title, "ongoing", 1234)
    assert sum(found["minutes"].values()) == 9
    assert sum(found["hours"].values()) == 1234
    assert [sample["reference"] for sample in found["samples"]] == ["abcdefgh", "aaaaaaaa"]
    assert [act["kind"] for act in found["acts"]] == ["comment", "resolve"]


@pytest.mark.slow
async def test_a_sample_is_found_by_its_reference_and_by_the_others(
    app: Quart, client: Any
) -> None:
    group_id = await store_everything(app)
    first = await body(client, f"{group_id}?reference=aaaaaaaa")
    assert "Sample 1 of 2" in first
    assert f'href="/errors/{group_id}?reference=abcdefgh#occurrence">Next</a>' in first
    assert '<span class="quiet">Previous</span>' in first
    assert "Sample 2 of 2" in await body(client, f"{group_id}?reference=abcdefgh")
    unknown = await body(client, f"{group_id}?reference=%3Cb%3E")
    assert "has the reference &lt;b&gt;, or it is no longer kept" in unknown
    assert "Sample 2 of 2" in unknown


async def test_samples_without_a_reference_are_found_by_their_ids(app: Quart, client: Any) -> None:
    group = group_of(REPORT)
    await store(app, group)
    reports = [replace(REPORT, id=str(number), reference="") for number in range(3)]
    samples = [sample_of(each, group.id, 60.0 - int(each.id)) for each in reports]
    await store(app, *samples)
    text = await body(client, f"{group.id}?sample={samples[1].id}")
    assert "Sample 2 of 3" in text
    assert f'?sample={samples[0].id}#occurrence">First</a>' in text
    assert "is no longer kept" in await body(client, f"{group.id}?sample=99")


async def test_an_occurrence_that_was_only_counted_leads_to_the_nearest_report(
    app: Quart, client: Any
) -> None:
    group_id = await store_everything(app)
    number = number_of("bbbbbbbb")
    seen = int(sample_of(REPORT, 1, 7000).seen_at.timestamp())
    await store(app, ErrorReference(number=number, group_id=group_id, seen_at=seen))
    text = await body(client, f"{group_id}?reference=bbbbbbbb")
    assert "The occurrence bbbbbbbb was counted at" in text
    assert "Sample 1 of 2" in text


@pytest.mark.parametrize("stored", ["", "{}", "[1]", '{"format": 2}', "\ufffd" * 99])
async def test_a_report_that_cannot_be_read_hides_nothing_else(
    app: Quart, client: Any, stored: str
) -> None:
    group_id = await store_everything(app)
    await store(app, sample_of(replace(REPORT, id="9"), group_id, -1, report=stored))
    text = await body(client, str(group_id))
    assert "The report of this occurrence cannot be read" in text
    assert "Sample 3 of 3" in text
    assert "What was done" in text
    assert json.loads(await body(client, f"{group_id}.json"))["report"] is None
    assert (await body(client, f"{group_id}.md")).startswith("# `KeyError in orders.Orders.pay`")


async def test_a_sample_that_is_deleted_while_it_is_looked_at(
    app: Quart, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_nothing(*_: object) -> None: ...

    group_id = await store_everything(app)
    monkeypatch.setattr(detail, "read_report", read_nothing)
    text = await body(client, str(group_id))
    assert "This sample was deleted a moment ago." in text
    assert "What was done" in text
    assert json.loads(await body(client, f"{group_id}.json"))["report"] is None


async def test_a_group_without_samples_has_a_page(app: Quart, client: Any) -> None:
    group = group_of(REPORT, culprit="", message="")
    await store(app, group)
    assert "No full report of this error is kept" in await body(client, f"{group.id}")
    assert json.loads(await body(client, f"{group.id}.json"))["samples"] == []
    assert await body(client, f"{group.id}.md")


async def test_an_id_that_no_error_has_is_not_found(client: Any) -> None:
    ids = ["0", "7", "-1", "1e3", "x", MAX_ID, MAX_ID + 1, "9" * 400, "%00", "%EF%BC%91", "1.5"]
    for group_id in ids:
        for form in ("", ".json", ".md", "?sample=x"):
            answer = await client.get(f"/errors/{group_id}{form}", headers=OPERATOR)
            assert answer.status_code == 404, (group_id, form)
    assert "It may have been deleted" in await body(client, "7", 404)
