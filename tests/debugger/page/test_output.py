"""What prompts print."""

import asyncio
import io
import sys

import pytest

from tests.debugger.site import HTML, Site


async def test_prints_of_two_prompts_are_kept_apart(failed: Site) -> None:
    first = failed.failure_id
    await failed.command(f"/failures/{first}/variables", {"frame": failed.frame_of("fail")})
    other_frame = failed.frame_of("fail")
    await failed.request("GET", "/fail", headers=HTML)
    code = "for n in range(3):\n    print({!r})\n    await asyncio.sleep(0.01)\n\n"

    one = failed.command(
        f"/failures/{first}/run", {"frame": other_frame, "code": code.format("one")}
    )
    two = failed.run(code.format("two"))
    answer, reply = await asyncio.gather(one, two)

    assert answer.json["output"] == "one\n" * 3
    assert reply["output"] == "two\n" * 3


async def test_the_servers_own_prints_go_where_they_went(
    failed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    command = asyncio.create_task(failed.run("print('typed'); await asyncio.sleep(0.05)"))
    await asyncio.sleep(0.02)
    print("served")

    assert (await command)["output"] == "typed\n"
    assert terminal.getvalue() == "served\n"
    assert sys.stdout is terminal
