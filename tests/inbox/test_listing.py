"""The page of the list: what it shows, hostile texts, forms, and what an address may ask for."""

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from quart import Quart
from sqlalchemy import insert, select, update

from quartapp.inbox.tokens import EXPIRED, FOREIGN
from quartapp.reporting.counting.aggregate import MOST_PEOPLE
from quartapp.reporting.references import number_of
from quartapp.reporting.tables import ErrorAct, ErrorGroup, ErrorHour, ErrorReference
from quartapp.testing import submit
from tests.inbox.conftest import OPERATOR, make_app
from tests.reporting.queries.test_listing import group

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}",
    "javascript:alert(1) https://evil.example/",
    "</title></table></form><a href=//evil.example>click</a>",
    "\u202egnp.exe\u2066 \x1b[31m \x00 \u200b\ud800",
)
ALLOWED_HREF = re.compile(r"/errors/[\w/.?=&%'+-]*|/|#content")


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    """The pages are the same on each kind: see `test_access`."""
    made: Quart = make_app(tmp_path)
    return made


class Elements(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def add(app: Quart, *rows: dict[str, Any]) -> None:
    pipeline = app.extensions["reporting"]
    await pipeline.prepare()
    async with pipeline.database.begin() as session:
        await session.execute(insert(ErrorGroup), list(rows))


async def get(client: Any, path: str = "/errors/", status: int = 200) -> str:
    answer = await client.get(path, headers=OPERATOR)
    text: str = await answer.get_data(as_text=True)
    assert answer.status_code == status, (path, answer.status_code, text)
    return text


async def test_a_row_says_what_happened_where_how_often_and_to_whom(
    app: Quart, client: Any
) -> None:
    await add(app, group(7, count=12345, people=42, message="no paper", route="/orders/<int:id>"))
    database = app.extensions["reporting"].database
    async with database.begin() as session:
        row = {"group_id": 7, "hour": int(time.time() // 3600), "count": 3}
        await session.execute(insert(ErrorHour), [row])
    page = await get(client)
    text = Elements(page).text
    for wanted in ("ValueError in shop.order_7", "new", "12,345", "42", "no paper", "7 h ago"):
        assert wanted in text
    assert 'href="/errors/7"' in page
    assert "3 in 24 hours" in page


async def test_people_are_counted_up_to_a_bound(app: Quart, client: Any) -> None:
    await add(app, group(1, people=MOST_PEOPLE - 1), group(2, people=MOST_PEOPLE))
    text = Elements(await get(client)).text
    assert "1,000+" in text
    assert "999" in text
    assert "999+" not in text


async def test_hostile_text_stays_text(app: Quart, client: Any) -> None:
    for number, text in enumerate(HOSTILE, 1):
        stored = text.replace("\0", "\x01").replace("\ud800", "\ufffd")
        texts = dict.fromkeys(("title", "culprit", "message", "route"), stored)
        await add(app, group(number, **texts))
    page = Elements(await get(client, "/errors/?q=%20&host=%3Cb%3E"))
    assert "<b>" in [value for _, attributes in page.found for value in attributes.values()]
    assert "\u202e" not in await get(client, f"/errors/?q={quote(HOSTILE[-1][:8])}")
    page = Elements(await get(client))
    for tag, attributes in page.found:
        assert tag not in {"img", "style", "iframe"}
        if tag == "script":
            assert str(attributes["src"]).startswith("/errors/static/live.js?v=")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        if tag == "a":
            assert ALLOWED_HREF.fullmatch(attributes["href"] or ""), attributes
    assert [tag for tag, _ in page.found].count("tr") == 1 + len(HOSTILE)
    for text in HOSTILE[:-1]:
        assert page.text.count(text) >= 4
    assert not re.search("[\u202e\u2066\x1b\x01\u200b]", page.text)
    assert r"\u202egnp.exe" in page.text


async def test_a_search_and_filters_with_any_text_are_pages(app: Quart, client: Any) -> None:
    await add(app, group(1))
    for name in ("q", "release", "host", "environment"):
        for text in HOSTILE:
            status = 400 if "\0" in text else 200
            raw = quote(text.encode("utf-8", "surrogatepass"))
            page = Elements(await get(client, f"/errors/?{name}={raw}", status))
            own = 1 if status == 200 else 0
            assert [tag for tag, _ in page.found].count("script") == own


BAD = [
    "state=broken",
    "sort=id",
    "since=1y",
    "after=1",
    "after=99999999999999999999-1",
    "after=9223372036854775807-1",
    "before=1-9999999999999999999",
    "after=1-1&before=1-1",
    "after=-1--1",
    f"q={'x' * 10_000}",
    f"release={'x' * 201}",
    "q=%00",
    "limit=1000",
    "did=delete",
    "did=resolve&changed=99999999999",
    "did=resolve&changed=%D9%A3",
]


async def test_what_an_address_cannot_mean_is_said(client: Any) -> None:
    for query in BAD:
        page = await get(client, f"/errors/?{query}", 400)
        assert "This address cannot be read" in page
        assert len(page) < 2000
    for query in ("q=%ff%fe", "%ff=1", "q=%F0%9F", "state=%ED%A0%80"):
        answer = await client.get(f"/errors/?{query}", headers=OPERATOR)
        assert answer.status_code in {200, 400}

    for id in (2**63, 10**30, 0, "01", "-1", "1.5", "１"):
        await get(client, f"/errors/{quote(str(id))}", 404)


async def test_a_reference_leads_to_its_error(app: Quart, client: Any) -> None:
    await add(app, group(7))
    async with app.extensions["reporting"].database.begin() as session:
        row = {"number": number_of("abcdefgh"), "group_id": 7, "seen_at": int(time.time())}
        await session.execute(insert(ErrorReference), [row])
    for typed in ("abcdefgh", "ABCD-EFGH", "%20abcd+efgh%20"):
        answer = await client.get(f"/errors/?q={typed}", headers=OPERATOR)
        assert answer.status_code == 303
        assert answer.headers["Location"] == "/errors/7?reference=abcdefgh"
    assert "No open error matches" in await get(client, "/errors/?q=22222222")


async def test_the_reference_on_an_error_page_is_found_when_it_is_counted(
    app: Quart, client: Any
) -> None:
    app.add_url_rule("/fail", "fail", fail)
    shown = await (await client.get("/fail", headers={"Accept": "application/json"})).get_json()
    await app.extensions["reporting"].flush()
    answer = await client.get(f"/errors/?q={shown['reference'].upper()}", headers=OPERATOR)
    assert answer.headers["Location"] == f"/errors/1?reference={shown['reference']}"
    assert "no paper" in await get(client, answer.headers["Location"])


async def fail() -> str:
    raise RuntimeError("no paper")


async def test_empty_lists_say_what_to_do(app: Quart, client: Any) -> None:
    assert "quart errors test" in await get(client)
    assert "No error has been recorded yet" in await get(client, "/errors/?state=all")
    assert "No error is muted" in await get(client, "/errors/?state=muted")
    assert "clear the search" in await get(client, "/errors/?q=nothing")
    assert "This page is empty by now" in await get(client, "/errors/?after=1-1")


async def test_pages_lead_to_each_other(app: Quart, client: Any) -> None:
    await add(app, *(group(number) for number in range(1, 121)))
    seen: list[str] = []
    page = await get(client)
    while following := re.search(r'href="([^"]*)" rel="next"', page):
        seen += re.findall(r'name="group" value="(\d+)\.', page)
        page = await get(client, following[1].replace("&amp;", "&"))
    seen += re.findall(r'name="group" value="(\d+)\.', page)
    assert seen == [str(number) for number in range(1, 121)]
    back = re.search(r'href="([^"]*)" rel="prev"', page)
    assert back
    page = await get(client, back[1].replace("&amp;", "&"))
    assert re.findall(r'name="group" value="(\d+)\.', page) == seen[50:100]


async def test_several_are_resolved_by_a_form(app: Quart, client: Any) -> None:
    await add(app, group(1), group(2), group(3))
    client = Operator(client)
    answer = await submit(
        client,
        "/errors/?sort=count",
        group=["1.0-0000000000000001", "2.0-0000000000000002"],
        act="resolve",
    )
    assert answer.status_code == 303
    assert "2 errors were resolved." in await get(client, answer.headers["Location"])
    assert "sort=count" in answer.headers["Location"]
    database = app.extensions["reporting"].database
    acts = await database.read(select(ErrorAct.group_id, ErrorAct.kind, ErrorAct.who))
    assert [(group, kind) for group, kind, _ in acts] == [(1, "resolve"), (2, "resolve")]
    assert all(who.startswith("an operator at ") for _, _, who in acts)
    assert "shop.order_2<" not in await get(client)


async def test_what_somebody_else_changed_meanwhile_is_left_alone(app: Quart, client: Any) -> None:
    await add(app, group(1), group(2))
    client = Operator(client)
    form = await fields(client)
    database = app.extensions["reporting"].database
    await database.write(update(ErrorGroup).where(ErrorGroup.id == 1).values(revision=1))
    answer = await post(
        client, {**form, "group": ["1.0-0000000000000001", "2.0-0000000000000002"], "act": "mute"}
    )
    text = await get(client, answer.headers["Location"])
    assert "1 error was muted. 1 error had been changed by somebody else" in text


class Operator:
    """A client whose requests have the operator's header."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, headers: Any = None, **options: Any) -> Any:
            return method(*args, headers={**OPERATOR, **dict(headers or {})}, **options)

        return call


async def post(client: Any, form: dict[str, Any]) -> Any:
    body = urlencode(form, doseq=True)
    kind, length = "application/x-www-form-urlencoded", str(len(body))
    return await client.post(
        "/errors/selected", data=body, headers={"Content-Type": kind, "Content-Length": length}
    )


async def fields(client: Any) -> dict[str, Any]:
    found = re.search(r'name="inbox_token" value="([^"]+)"', await get(client))
    assert found
    return {"inbox_token": found[1], "group": "1.0-0000000000000001", "act": "reopen"}


async def test_a_form_of_another_site_or_without_its_token_changes_nothing(
    app: Quart, client: Any
) -> None:
    await add(app, group(1))
    operator = Operator(client)
    form = await fields(operator)
    foreign = [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ]
    for headers in foreign:
        answer = await operator.post("/errors/selected", form=form, headers=headers)
        assert (answer.status_code, FOREIGN in await answer.get_data(as_text=True)) == (403, True)
    other = app.test_client()
    stolen = Operator(other)
    for sender, changed in (
        (operator, {"inbox_token": ""}),
        (operator, {"inbox_token": form["inbox_token"][:-1]}),
        (operator, {"inbox_token": "\udce4é" * 20}),
        (stolen, {}),
    ):
        answer = await sender.post("/errors/selected", form=_encodable(form | changed))
        page = await answer.get_data(as_text=True)
        assert (answer.status_code, EXPIRED in page) == (400, True)
        assert "<h1>This form cannot be accepted</h1>" in page
    await get(stolen)  # a browser with a cookie of its own
    assert (await stolen.post("/errors/selected", form=form)).status_code == 400
    database = app.extensions["reporting"].database
    assert await database.read(select(ErrorAct.id)) == []
    assert (await operator.post("/errors/selected", form=form)).status_code == 303


def _encodable(form: dict[str, str]) -> dict[str, str]:
    return {name: value.encode("utf-8", "replace").decode() for name, value in form.items()}


async def test_a_token_outlives_a_change_of_the_key(app: Quart, client: Any) -> None:
    await add(app, group(1))
    client = Operator(client)
    form = await fields(client)
    app.config["SECRET_KEY_FALLBACKS"], app.config["SECRET_KEY"] = ["k" * 40], "n" * 40
    assert (await client.post("/errors/selected", form=form)).status_code == 303
    form = await fields(client)
    app.config["SECRET_KEY_FALLBACKS"], app.config["SECRET_KEY"] = None, "m" * 40
    assert (await client.post("/errors/selected", form=form)).status_code == 400


FORGED: list[dict[str, Any]] = [
    {"act": "delete"},
    {"act": ""},
    {"group": ""},
    {"group": "1"},
    {"group": "9223372036854775808.0-a"},
    {"group": "1.99999999999-a"},
    {"group": "1.0 OR 1=1"},
    {"group": [f"{number}.0-a" for number in range(1, 60)]},
]


async def test_a_forged_form_is_refused_in_words(app: Quart, client: Any) -> None:
    await add(app, group(1))
    client = Operator(client)
    form = await fields(client)
    for forged in FORGED:
        answer = await post(client, form | forged)
        assert answer.status_code == 400, forged
    answer = await post(client, form | {"more": "x" * 70_000})
    assert answer.status_code == 413
    answer = await client.post(
        "/errors/selected", data=b"\xff\x00", headers={"Content-Type": "a/b"}
    )
    assert answer.status_code == 400


async def test_a_form_is_bounded_on_plain_quart_too(tmp_path: Path) -> None:
    app: Quart = make_app(tmp_path, Quart)
    async with app.test_app():
        answer = await post(Operator(app.test_client()), {"more": "x" * 70_000})
    assert answer.status_code == 413


async def test_an_application_may_check_its_own_tokens_besides(app: Quart, client: Any) -> None:
    app.jinja_env.globals["csrf_token"] = lambda: "of the application"
    await add(app, group(1))
    seen = []

    async def check() -> None:
        from quart import request

        if request.method == "POST":
            seen.append((await request.form).get("csrf_token"))

    app.before_request_funcs.setdefault(None, []).append(check)
    client = Operator(client)
    answer = await submit(client, "/errors/", group=["1.0-0000000000000001"], act="resolve")
    assert answer.status_code == 303
    assert seen == ["of the application"]
