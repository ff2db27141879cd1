"""What each kind of client sees of each kind of failure."""

import asyncio
import html
import re

import pytest

from tests.debugger.site import HTML, Site


def visible(page: str) -> str:
    """The text of a page as a reader sees it."""
    return html.unescape(re.sub(r"<[^>]+>", "", page))


async def test_the_page_names_error_request_and_marked_line(site: Site) -> None:
    answer = await site.request("GET", "/fail", headers=HTML)

    assert (answer.status, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "<h1>ValueError</h1>" in answer.text
    assert "GET /fail" in answer.text
    current = re.findall(r'<div class="row current">(.*?)</div>', answer.text)
    assert any("raise ValueError(visitor, len(form)" in visible(line) for line in current)


async def test_a_failure_is_said_on_the_terminal_with_its_link(site: Site) -> None:
    await site.request("GET", "/fail", headers=HTML)

    link = f"http://127.0.0.1:5000/__debugger__/failures/{site.failure_id}"
    assert site.said == [f" * ValueError in GET /fail: {link}"]


async def test_the_link_shows_the_page_again_without_running_the_view(site: Site) -> None:
    await site.request("POST", "/fail", headers=HTML)
    kept = site.failure_id

    answer = await site.request("GET", f"/__debugger__/failures/{kept}", headers=HTML)

    assert "POST /fail" in answer.text
    assert site.failure_id == kept


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain"])
async def test_a_command_line_client_gets_plain_text(site: Site, accept: str) -> None:
    answer = await site.request("GET", "/fail", headers={"accept": accept})

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("Traceback (most recent call last):\n")
    assert "ValueError: ('susan'" in answer.text


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json"])
async def test_an_api_client_gets_a_problem(site: Site, accept: str) -> None:
    answer = await site.request("GET", "/fail", headers={"accept": accept})

    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert (problem["status"], problem["title"]) == (500, "Internal Server Error")
    assert problem["detail"].startswith("ValueError: ('susan'")
    assert problem["traceback"][0] == "Traceback (most recent call last):"
    assert problem["debugger"].endswith(site.failure_id)


async def test_markup_stays_text_wherever_it_stands(site: Site) -> None:
    answer = await site.request("GET", "/evil", headers=HTML)

    assert "alert(1)" in answer.text
    assert "alert(3)" in answer.text
    assert len(re.findall(r"<script", answer.text)) == 1
    assert "<img" not in answer.text
    assert "\x1b" not in answer.text


async def test_control_characters_reach_no_terminal(site: Site) -> None:
    answer = await site.request("GET", "/evil")
    await site.request("GET", "/a\x1b]0;title\x07")

    assert "\x1b" not in answer.text
    assert "\\x1b[31mred" in answer.text
    assert "\x1b" not in "".join(site.said)


async def test_a_broken_str_has_a_page(site: Site) -> None:
    answer = await site.request("GET", "/broken-str", headers=HTML)

    assert "BrokenStr</h1>" in answer.text
    assert "exception str() failed" in answer.text


async def test_causes_are_sections_of_their_own(site: Site) -> None:
    answer = await site.request("GET", "/chain", headers=HTML)

    assert "KeyError was the direct cause of LookupError" in visible(answer.text)
    assert site.frame_of("inner") > site.frame_of("chain")


async def test_members_of_a_group_are_sections_of_their_own(site: Site) -> None:
    answer = await site.request("GET", "/group", headers=HTML)

    text = visible(answer.text)
    assert "RuntimeError is member 1 of 2 of ExceptionGroup" in text
    assert "RuntimeError is member 2 of 2 of ExceptionGroup" in text
    await site.unlock()
    assert (await site.run("hint", "member"))["value"] == "'member two'"


async def test_a_recursion_is_folded(site: Site) -> None:
    answer = await site.request("GET", "/deep", headers=HTML)

    assert "frames left out" in answer.text
    assert len(answer.body) < 1_000_000
    assert len(site.newest.sections[0].frames) == 80


async def test_a_template_shows_its_own_line(site: Site) -> None:
    answer = await site.request("GET", "/template", headers=HTML)

    current = re.findall(r'<div class="row current">(.*?)</div>', answer.text)
    assert any("{{ item.missing.name }}" in visible(line) for line in current)
    await site.unlock()
    assert (await site.run("item", "top-level template code"))["value"] == "1"


async def test_missing_source_is_said(site: Site) -> None:
    answer = await site.request("GET", "/generated", headers=HTML)

    assert "The source of this frame is not available." in answer.text


async def test_an_error_in_a_background_task_has_a_link(site: Site) -> None:
    await site.request("GET", "/background")
    await asyncio.gather(*site.app.background_tasks)

    assert "RuntimeError in a background task" in site.said[-1]
    await site.unlock()
    assert (await site.run("errand", "task"))["value"] == "'fetch milk'"
    assert (await site.run("current_app.name", "task"))["value"] == "'tests.debugger.site'"


async def test_an_exception_that_forbids_attributes_keeps_its_context(site: Site) -> None:
    await site.request("GET", "/frozen", headers=HTML)
    await site.unlock()

    assert (await site.run("request.path", "frozen"))["value"] == "'/frozen'"


async def test_a_fault_of_the_debugger_is_a_plain_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("quartapp.debugger.server.debugger.render_page", lambda *_, **__: 1 / 0)

    answer = await site.request("GET", "/fail", headers=HTML)

    assert (answer.status, answer.headers["content-type"]) == (500, "text/plain; charset=utf-8")
    assert "terminal of the server" in answer.text
    assert "failed to show an error" in caplog.text


async def test_variables_hide_secrets_until_asked(site: Site) -> None:
    await site.request("GET", "/fail", headers=HTML)
    await site.unlock()
    path, frame = f"/failures/{site.failure_id}/variables", site.frame_of("fail")

    answer = await site.command(path, {"frame": frame})

    rows = dict(answer.json["rows"])
    assert rows["visitor"] == "'susan'"
    assert rows["password"] is None
    assert rows["form"] == "{'username': 'susan', 'password': [hidden]}"
    assert rows["copied"] == "'[hidden] again'"
    assert rows["broken"] == "<BrokenRepr whose repr raised ValueError>"
    assert "open-sesame" not in answer.text
    revealed = await site.command(path, {"frame": frame, "reveal": "password"})
    assert revealed.json == {"text": "'open-sesame'"}


async def test_no_variable_is_on_the_page_itself(site: Site) -> None:
    site.app.config["SECRET"] = "x"
    answer = await site.request("GET", "/fail", headers=HTML)

    assert "fetch" not in answer.text
    assert "data-secret" in answer.text
    assert "BrokenRepr object" not in answer.text
