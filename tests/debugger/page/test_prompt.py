"""A Python prompt in a frame."""

import asyncio
import sys
import time

import pytest
from quart.signals import appcontext_tearing_down

from quartapp.debugger.page import prompt
from tests.debugger.site import Site


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1 + 1", "2"),
        ("visitor", "'susan'"),
        ("visitor = 'david'; visitor", "'david'"),
        ("request.path, request.method", "('/fail', 'POST')"),
        ("g.answer", "42"),
        ("session['cart']", "['tea']"),
        ("current_app.name", "'tests.debugger.site'"),
        ("extra", "42"),
        ("await asyncio.sleep(0, 'slept')", "'slept'"),
        ("[x for x in form if x != visitor]", "['username', 'password']"),
        ("(lambda: visitor)()", "'susan'"),
        ("list(len(visitor) for _ in '12')", "[5, 5]"),
        ("[await asyncio.sleep(0, x) for x in 'ab']", "['a', 'b']"),
        ("broken", "<BrokenRepr whose repr raised ValueError>"),
        ("x = 1", None),
        ("None", None),
        ("", None),
        ("# nothing", None),
    ],
)
async def test_shows_the_value_of_an_expression(failed: Site, code: str, value: str | None) -> None:
    reply = await failed.run(code)

    assert (reply["error"], reply["value"]) == (None, value)


@pytest.mark.parametrize(
    "code",
    [
        "total = 0\nfor n in range(4):\n    total += n\n\ntotal",
        "async def add(a, b):\n    await asyncio.sleep(0)\n    return a + b\n\nawait add(2, 4)",
        "import asyncio\nasync with asyncio.timeout(1):\n    x = 6\n\nx",
    ],
)
async def test_runs_a_block_of_several_lines(failed: Site, code: str) -> None:
    reply = await failed.run(code)

    assert (reply["error"], reply["value"]) == (None, "6")


@pytest.mark.parametrize(
    "code",
    ["for n in range(3):", "for n in range(3):\n    print(n)", "(1 +", "'''text", "if x: \\"],
)
async def test_an_unfinished_block_wants_more(failed: Site, code: str) -> None:
    assert (await failed.run(code))["more"] is True


async def test_a_block_can_be_run_at_once(failed: Site) -> None:
    reply = await failed.run("for n in range(3):\n    print(n)", now=True)

    assert (reply["more"], reply["output"]) == (False, "0\n1\n2\n")


async def test_names_live_from_command_to_command(failed: Site) -> None:
    await failed.run("mine = [1]")
    await failed.run("mine.append(2)")

    assert (await failed.run("mine"))["value"] == "[1, 2]"
    assert (await failed.run("_"))["value"] == "[1, 2]"


@pytest.mark.parametrize("code", ["1 +* 2", "def f(:", "x = \x00", "  indented"])
async def test_a_syntax_error_is_a_reply(failed: Site, code: str) -> None:
    reply = await failed.run(code)

    assert "Error" in reply["error"]
    assert "quartapp/debugger" not in reply["error"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("exit()", "SystemExit"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
        ("input('name? ')", "RuntimeError: there is no terminal behind this prompt"),
        ("breakpoint()", "RuntimeError: there is no terminal behind this prompt"),
    ],
)
async def test_whatever_a_command_raises_is_a_reply(failed: Site, code: str, error: str) -> None:
    reply = await failed.run(code)

    assert error in reply["error"]
    assert (await failed.run("1 + 1"))["value"] == "2"


async def test_a_traceback_shows_what_was_typed_and_nothing_of_the_debugger(failed: Site) -> None:
    reply = await failed.run("def half(n):\n    return n / 0\n\nhalf(1)")

    assert "return n / 0" in reply["error"]
    assert "prompt.py" not in reply["error"]


async def test_an_await_that_takes_too_long_is_stopped(
    failed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prompt.TIME_LIMIT == 30
    monkeypatch.setattr(prompt, "TIME_LIMIT", 0.05)
    started = time.monotonic()

    reply = await failed.run("await asyncio.Event().wait()")

    assert "TimeoutError: stopped after 0.05 seconds" in reply["error"]
    assert time.monotonic() - started < 20


async def test_a_timeout_of_the_command_itself_is_its_own(failed: Site) -> None:
    assert (await failed.run("raise TimeoutError('mine')"))["error"].endswith(
        "TimeoutError: mine\n"
    )
    reply = await failed.run("await asyncio.wait_for(asyncio.Event().wait(), 0.01)")
    assert "stopped after" not in reply["error"]


async def test_commands_of_one_failure_run_one_after_the_other(failed: Site) -> None:
    await failed.run("log = []")
    code = "log.append('in'); await asyncio.sleep(0.01); log.append('out')"
    await asyncio.gather(*(failed.run(code) for _ in range(3)))

    assert (await failed.run("log"))["value"] == str(["in", "out"] * 3)


async def test_a_command_ends_with_a_teardown(failed: Site) -> None:
    torn_down: list[object] = []

    async def note(_sender: object, *, exc: BaseException | None, **_: object) -> None:
        torn_down.append(exc)

    with appcontext_tearing_down.connected_to(note, failed.app):
        await failed.run("loan = 1")

    assert torn_down == [None]
    assert failed.released[-1]["loan"] == 1


@pytest.mark.slow
@pytest.mark.lenient("blocks")
async def test_printing_and_values_are_bounded(failed: Site) -> None:
    assert len((await failed.run("print('x' * 10_000_000)"))["output"]) <= 110_000
    assert len((await failed.run("'x' * 10_000_000"))["value"]) < 50_000
    assert len((await failed.run("list(range(10_000_000))"))["value"]) < 50_000
    assert len((await failed.run("raise ValueError('x' * 10_000_000)"))["error"]) < 110_000


async def test_dump_and_help_print_into_the_page(failed: Site) -> None:
    assert "visitor = 'susan'\n" in (await failed.run("dump()"))["output"]
    assert "upper = " in (await failed.run("dump(visitor)"))["output"]
    assert "Return the number of items" in (await failed.run("help(len)"))["output"]


async def test_the_display_hook_is_left_alone(failed: Site) -> None:
    before = sys.displayhook

    await failed.run("1 + 1")

    assert sys.displayhook is before
