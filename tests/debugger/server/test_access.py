"""Trusted hosts, the PIN, and the cookie of an unlocked browser."""

import asyncio
import time
from typing import Any

import pytest

from quartapp.debugger.server import access
from tests.debugger.site import HTML, PIN, Site, make_site


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "a.localhost", "127.0.0.1", "[::1]:5000"]
)
async def test_names_of_this_machine_are_trusted(site: Site, host: str) -> None:
    answer = await site.request("GET", "/__debugger__/static/debugger.js", headers={"host": host})

    assert answer.status == 200


async def test_an_unknown_name_gets_advice_and_nothing_else(site: Site) -> None:
    answer = await site.request("GET", "/fail", headers=HTML | {"host": "box.lan:5000"})

    assert answer.status == 500
    assert "localhost, or name the host with `quart dev --trusted-host`." in answer.text
    assert "ValueError" not in answer.text


async def test_a_host_of_the_developers_choice_is_trusted() -> None:
    site = make_site(trusted_hosts=["box.lan"])

    answer = await site.request("GET", "/fail", headers=HTML | {"host": "box.lan:5000"})

    assert "ValueError" in answer.text


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site) -> None:
    answer = await site.command("/unlock", {"pin": PIN})

    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert PIN not in cookie


async def test_after_ten_wrong_pins_the_right_one_is_refused_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "FAILURE_DELAY", 0)
    for _ in range(10):
        assert (await site.command("/unlock", {"pin": "000-000-000"})).status == 403

    answer = await site.command("/unlock", {"pin": PIN})

    assert (answer.status, answer.json["error"]) == (
        403,
        "Too many wrong PINs: restart the server.",
    )


async def test_ten_wrong_pins_at_once_are_ten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "FAILURE_DELAY", 0.05)
    tries = [site.command("/unlock", {"pin": f"{n}"}) for n in range(10)]
    answers = await asyncio.gather(*tries, site.command("/unlock", {"pin": PIN}))

    assert answers[-1].status == 403


async def test_a_right_pin_forgets_the_wrong_ones(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "FAILURE_DELAY", 0)
    for _ in range(3):
        for _ in range(9):
            await site.command("/unlock", {"pin": "0"})
        assert (await site.command("/unlock", {"pin": "123456789"})).status == 200


@pytest.mark.slow
async def test_a_wrong_pin_is_slow_and_the_server_is_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert access.FAILURE_DELAY >= 0.5
    monkeypatch.setattr(access, "FAILURE_DELAY", 2.0)
    started = time.monotonic()
    wrong = asyncio.create_task(site.command("/unlock", {"pin": "0"}))
    await asyncio.sleep(0)
    await site.request("GET", "/__debugger__/static/debugger.js")
    assert not wrong.done()

    await wrong

    assert time.monotonic() - started >= access.FAILURE_DELAY * 0.9


async def test_an_old_or_tampered_cookie_does_not_unlock(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await site.fail()
    await site.unlock()
    name, cookie = next(iter(site.cookies.items()))
    value, made, signature = cookie.split(".")
    site.cookies = {name: f"{value}.{made[:-1]}{'A' if made[-1] != 'A' else 'B'}.{signature}"}
    assert (await site.command(path, site.body())).status == 401
    site.cookies = {name: cookie}
    later = time.time() + access.TRUST_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert (await site.command(path, site.body())).status == 401


async def test_the_cookie_outlives_a_reload_and_the_secret_does_not(site: Site) -> None:
    await site.unlock()
    reloaded = make_site(key=site.debugger.access.key)
    reloaded.cookies = site.cookies
    path = await reloaded.fail()

    assert (await reloaded.command(path, reloaded.body())).status == 200
    assert reloaded.debugger.access.secret != site.debugger.access.secret


@pytest.mark.parametrize("changed", [{"pin": "987-654-321"}, {"port": 5001}])
async def test_a_cookie_is_worth_nothing_with_another_pin_or_port(
    site: Site, changed: dict[str, Any]
) -> None:
    await site.unlock()
    (cookie,) = site.cookies.values()
    other = make_site(key=site.debugger.access.key, **changed)
    other.cookies = {other.debugger.access.cookie_name: cookie}
    path = await other.fail()

    assert (await other.command(path, other.body())).status == 401


async def test_another_run_of_the_server_is_locked(site: Site) -> None:
    await site.unlock()
    other = make_site()
    other.cookies = site.cookies
    path = await other.fail()

    assert (await other.command(path, other.body())).status == 401
