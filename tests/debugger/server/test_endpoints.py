"""Who may see a page, and who may run code: each protection by itself."""

import builtins

import pytest

from tests.debugger.site import HTML, PIN, Site, make_site


async def test_a_command_with_everything_right_is_run(site: Site) -> None:
    path = await site.fail()
    await site.unlock()

    answer = await site.command(path, site.body())

    assert (answer.status, answer.json["value"]) == (200, "2")


async def test_a_locked_prompt_runs_nothing(site: Site) -> None:
    path = await site.fail()

    assert (await site.command(path, site.body())).status == 401
    variables_path = path.replace("/run", "/variables")
    assert (await site.command(variables_path, {"frame": site.frame_of("fail")})).status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"host": "attacker.example"}, 400, id="a host that was rebound to us"),
        pytest.param({"host": ""}, 400, id="no host"),
        pytest.param({"peer": "192.0.2.7"}, 403, id="another machine"),
        pytest.param({"x_forwarded_for": "127.0.0.1"}, 403, id="through a proxy on this machine"),
        pytest.param({"forwarded": "for=127.0.0.1"}, 403, id="through a proxy of RFC 7239"),
        pytest.param({"x_real_ip": "127.0.0.1"}, 403, id="through nginx"),
        pytest.param({"via": "1.1 proxy"}, 403, id="through a gateway"),
        pytest.param({"sec_fetch_site": "cross-site"}, 403, id="from a page of another site"),
        pytest.param({"sec_fetch_site": "same-site"}, 403, id="from another port of this host"),
        pytest.param({"sec_fetch_site": "none"}, 403, id="typed, not fetched"),
        pytest.param({"origin": "http://attacker.example"}, 403, id="from another origin"),
        pytest.param({"origin": "null"}, 403, id="from a sandboxed frame"),
        pytest.param({"content_type": "text/plain"}, 415, id="what a form can send"),
        pytest.param({"x_debugger_secret": ""}, 410, id="without the secret's header"),
        pytest.param({"x_debugger_secret": "x" * 43}, 410, id="with another secret"),
        pytest.param({"cookie": "debugger_5000=1.0"}, 401, id="a forged cookie"),
    ],
)
async def test_one_thing_wrong_is_enough(site: Site, headers: dict[str, str], status: int) -> None:
    path = await site.fail()
    await site.unlock()
    code = "import builtins; builtins.quartapp_was_here = True"

    answer = await site.command(path, site.body(code), **headers)

    assert answer.status == status
    assert not hasattr(builtins, "quartapp_was_here")
    assert "Set-Cookie" not in answer.headers


async def test_unlocking_needs_the_same_as_a_command(site: Site) -> None:
    for headers in ({"host": "attacker.example"}, {"peer": "192.0.2.7"}, {"origin": "null"}):
        assert (await site.command("/unlock", {"pin": PIN}, **headers)).status in {400, 403}
    assert not site.cookies


@pytest.mark.parametrize("path", ["/static/debugger.js", "/static/debugger.css", "/failures/x"])
async def test_even_files_need_a_trusted_host(site: Site, path: str) -> None:
    answer = await site.request("GET", f"/__debugger__{path}", headers={"host": "evil.example"})

    assert answer.status == 400


async def test_a_rebound_host_gets_no_traceback(site: Site) -> None:
    answer = await site.request("GET", "/fail", headers=HTML | {"host": "attacker.example"})

    assert answer.status == 500
    assert "susan" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "trait", [{"peer": "192.0.2.7"}, {"headers": HTML | {"x-forwarded-for": "127.0.0.1"}}]
)
async def test_a_page_for_others_has_no_secret(site: Site, trait: dict[str, object]) -> None:
    answer = await site.request("GET", "/fail", **({"headers": HTML} | trait))  # type: ignore[arg-type] # str or dict by its name

    assert "ValueError" in answer.text
    assert site.debugger.access.secret not in answer.text
    assert 'id="lock"' not in answer.text


async def test_switched_off_there_is_no_prompt() -> None:
    site = make_site(evalex=False)
    page = await site.request("GET", "/fail", headers=HTML)
    path = f"/failures/{site.failure_id}/run"

    assert site.debugger.access.secret not in page.text
    assert (await site.command("/unlock", {"pin": PIN})).status == 403
    assert (await site.command(path, site.body())).status == 403


async def test_every_answer_forbids_framing_caching_and_sniffing(site: Site) -> None:
    path = await site.fail()
    for answer in (
        await site.request("GET", "/fail", headers=HTML),
        await site.request("GET", "/__debugger__/static/debugger.js"),
        await site.command(path, site.body()),
        await site.request("GET", "/__debugger__/nothing"),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_neither_secret_nor_pin_are_in_an_address(site: Site) -> None:
    page = await site.request("GET", "/fail", headers=HTML)

    assert site.debugger.access.secret not in "".join(site.said)
    for attribute in ("href=", "src=", "action="):
        for part in page.text.split(attribute)[1:]:
            assert site.debugger.access.secret not in part.split(">")[0]
    answer = await site.request("GET", f"/__debugger__/unlock?pin={PIN}")
    assert answer.status == 404


async def test_a_stale_page_runs_no_view_again(site: Site) -> None:
    calls = []
    site.app.before_request(lambda: calls.append(1))
    path = await site.fail()
    await site.unlock()

    stale = await site.command(path, site.body(), x_debugger_secret="of-an-old-process")
    gone = await site.command("/failures/nonsense/run", site.body())
    page = await site.request("GET", "/__debugger__/failures/nonsense", headers=HTML)

    assert [stale.status, gone.status, page.status] == [410, 410, 410]
    assert len(calls) == 1


async def test_nonsense_commands_are_refused(site: Site) -> None:
    path = await site.fail()
    await site.unlock()
    frame = site.frame_of("fail")
    bodies: list[object] = [[], 1, {}, {"frame": "1", "code": "1"}]
    for body in bodies:
        assert (await site.command(path, body)).status == 400
    assert (await site.command(path, {"frame": 999, "code": "1"})).status == 404
    assert (await site.command(path, {"frame": frame, "code": 1})).status == 404
    assert (await site.command(path, {"frame": frame, "code": "#" * 300_000})).status == 413
    raw = {"x-debugger-secret": site.debugger.access.secret, "content-type": "application/json"}
    answer = await site.request("POST", "/__debugger__/unlock", headers=raw, body=b"{")
    assert answer.status == 400
    assert (await site.request("PUT", "/__debugger__/unlock")).status == 405


@pytest.mark.parametrize("name", ["../access.py", "..%2faccess.py", "debugger.html", ""])
async def test_only_the_debuggers_files_are_served(site: Site, name: str) -> None:
    assert (await site.request("GET", f"/__debugger__/static/{name}")).status == 404


async def test_the_link_is_the_address_that_is_listened_on(site: Site) -> None:
    answer = await site.request("GET", "/fail", headers={"host": "sub.localhost:9"})

    assert f"Debugger: http://127.0.0.1:5000/__debugger__/failures/{site.failure_id}" in answer.text
