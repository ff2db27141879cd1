"""An error as it is pasted into a tracker."""

import re
from typing import NoReturn

import pytest
from quart import request

from quartapp.debugger.page.markdown import MAX_BYTES
from tests.debugger.site import Site

MARKDOWN = {"accept": "text/markdown"}
FORM = MARKDOWN | {"content-type": "application/x-www-form-urlencoded"}


async def markdown(site: Site, path: str) -> str:
    answer = await site.request("GET", path, headers=MARKDOWN)
    assert answer.status == 500
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    return answer.text


async def test_title_chain_frames_versions_and_request(site: Site) -> None:
    found = await markdown(site, "/chain")

    assert found.startswith("# `LookupError` in `GET /chain`\n")
    assert "\n## `KeyError` was the direct cause of LookupError\n" in found
    assert re.search(r"tests/debugger/site.py:\d+, in .*chain\n +raise LookupError", found)
    assert re.search(r"Python 3\.\d+\.\d+, quart \d", found)
    assert "\nmethod: GET\n" in found
    assert ".venv" not in found


async def test_secrets_are_masked_as_on_the_page(site: Site) -> None:
    @site.app.post("/pay")
    async def pay() -> NoReturn:
        form = await request.form
        password = "literal-secret"
        raise ValueError(f"{form['password']} is not the password {len(password)}")

    sent = FORM | {"cookie": "session=cookie-secret", "x-api-key": "head-secret"}
    answer = await site.request("POST", "/pay", headers=sent, body=b"password=form-secret")

    assert "[hidden] is not the password" in answer.text
    for secret in ("form-secret", "literal-secret", "cookie-secret", "head-secret"):
        assert secret not in answer.text


async def test_a_message_repeats_no_secret_of_a_variable_or_of_the_configuration(
    site: Site,
) -> None:
    site.app.config["MAIL_PASSWORD"] = "config-secret"

    @site.app.get("/login")
    async def login() -> NoReturn:
        api_key = "-".join(["local", "secret"])
        site.app.logger.warning("no login with %s", api_key)
        raise ValueError(f"{api_key} and {site.app.config['MAIL_PASSWORD']} are refused")

    assert "[hidden] and [hidden] are refused" in await markdown(site, "/login")
    page = (await site.request("GET", "/login", headers={"accept": "text/html"})).text
    assert "no login with [hidden]" in page


@pytest.mark.parametrize("text", ["```\n# not a heading\n````", "<script>`", "\x1b[31m"])
async def test_hostile_texts_end_no_block(site: Site, text: str) -> None:
    @site.app.get("/hostile")
    async def hostile() -> NoReturn:
        raise ValueError(text)

    found = await markdown(site, "/hostile")

    outside, fence = [], ""
    for line in found.splitlines():
        match = re.match(r"(`{3,})(text)?$", line)
        if fence:
            fence = "" if match and match[1] == fence else fence
        elif match:
            fence = match[1]
        else:
            outside.append(line)
    assert fence == ""
    assert "# not a heading" not in outside
    assert "<script>`" not in "\n".join(outside)
    assert "\x1b" not in found


async def test_it_is_bounded(site: Site) -> None:
    @site.app.get("/long")
    async def long() -> NoReturn:
        errors = [ValueError("é" * 100_000 + str(number)) for number in range(100)]
        raise ExceptionGroup("many", errors)

    found = await markdown(site, "/long")

    assert len(found.encode()) <= MAX_BYTES
    assert "parts left out" in found
    assert len((await markdown(site, "/deep")).encode()) <= MAX_BYTES


async def test_another_host_name_gets_none(site: Site) -> None:
    answer = await site.request("GET", "/chain", headers=MARKDOWN | {"host": "evil.example"})

    assert "outer" not in answer.text
