"""A short version of `python -m tests.system.fuzz`."""

from pathlib import Path

import httpx
import pytest

from quartapp.microblog.testing import StartServer
from tests.system.fuzz.run import application, faults, run


def test_no_route_fails_whatever_it_is_sent(live_server: StartServer, tmp_path: Path) -> None:
    with live_server(ENVIRONMENT="development", PASSWORD_COST="7") as server:
        outcome = run(application(tmp_path), server, 2, 1)
    assert outcome.faults == []
    assert {("/sessions", "GET"), ("/explore", "GET"), ("/edit_profile", "GET")} <= outcome.reached


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (httpx.Response(500), "answered 500"),
        (httpx.Response(200, headers={"Set-Cookie": "planted=1"}), "a header was planted"),
        (httpx.Response(302, headers={"Location": "//elsewhere.example/"}), "redirected to"),
        (httpx.Response(200), "without the protecting headers"),
        (httpx.Response(200, html="<p><script>alert(1)</script>"), "a script was planted"),
        (httpx.Response(200, html="<p>1337</p>"), "a template was planted"),
        (httpx.Response(400, text="Traceback (most recent call last):"), "a traceback was shown"),
    ],
)
def test_what_is_wrong_is_seen(answer: httpx.Response, fault: str) -> None:
    answer.request = httpx.Request("GET", "http://localhost/")
    assert any(found.startswith(fault) for found in faults(answer))
