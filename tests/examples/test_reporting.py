"""docs/examples/reporting, from the wheel: what docs/report.md promises, elsewhere."""

import asyncio
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from quartapp.testing import LiveServer, MailServer
from tests.examples.conftest import Example, plain_environment

SECRET = "hunter2-canary"
WORKERS = ["-m", "hypercorn", "app:app", "--bind", "127.0.0.1:0", "--workers", "2"]
ERRORS = 60


@pytest.mark.slow
async def test_what_is_recorded_survives_a_kill_and_is_counted_and_mailed(
    example: Callable[[str], Example], mail_server: MailServer
) -> None:
    # In a thread: the mail server is in the event loop.
    counts = await asyncio.to_thread(use, example("reporting"), mail_server)
    assert counts["RuntimeError in app.order"] == ERRORS
    [mail] = mail_server.mails
    assert mail.message["Subject"].startswith("[app prod] NEW SelfTestError")


def use(shop: Example, mail_server: MailServer) -> dict[str, int]:
    """Let errors happen, kill the server, and count; returns what was counted."""
    settings = {
        "QUART_MAIL_SERVER": mail_server.host,
        "QUART_MAIL_PORT": str(mail_server.port),
        "QUART_ADMINS": "ops@example.com",
        "QUART_SECRET_KEY": SECRET,
    }
    environment = plain_environment(shop.wheel) | settings
    with LiveServer(environment, WORKERS, cwd=shop.folder, python=shop.wheel.python) as server:
        with httpx.Client(base_url=server.url) as client, ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: client.post(f"/{SECRET}"), range(ERRORS)))
            assert client.get("/").text == "0", "rolled back"
        server.kill()
    assert {answer.status_code for answer in answers} == {500}
    references = {found[1] for answer in answers if (found := REFERENCE.search(answer.text))}
    assert len(references) == ERRORS

    def errors(*arguments: str) -> str:
        command = ("-m", "quart", "--app", "app", "errors", *arguments)
        return shop.run(*command, code=0, **settings).stdout

    assert "for the operators" in errors("test")
    print(errors("list"))
    files = [path for path in (shop.folder / "instance").rglob("*") if path.is_file()]
    assert not [path.name for path in files if SECRET.encode() in path.read_bytes()]
    return {group["title"]: group["count"] for group in json.loads(errors("list", "--json"))}


REFERENCE = re.compile(r"reference[^0-9a-z]*(?:<[^>]*>)?([2-9a-z]{8})\b")
