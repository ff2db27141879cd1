"""Each fault of the table in docs/test.md is found and named; a clean suite has no alarm."""

import re
import shutil
from pathlib import Path

import pytest

import quartapp.testing.strictness.watch  # noqa: F401 - imported once for the suites run here
from tests.testing.test_plugin import CONFIGURED, WITHOUT

pytestmark = pytest.mark.lenient  # the suites run in this process, and leave what they leave

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "test.md"
ROW = re.compile(r"^\| `(test_\w+)` \| ([^|]+) \| `(\w+): ([^|]+)` \|$", re.MULTILINE)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    ini = CONFIGURED.format(mode="auto").replace("error", "default")
    pytester.makeini(ini + "quartapp_strict = true\n")
    for path in (HERE / "strict").iterdir():
        shutil.copy(path, pytester.path / f"test_{path.name}")
    return pytester


@pytest.mark.slow
def test_every_fault_is_found_and_named(suite: pytest.Pytester) -> None:
    # In a process: what they leave would be found in later tests.
    result = suite.runpytest_subprocess(*WITHOUT, "test_faults.py")
    output = "\n".join(result.outlines)
    rows = ROW.findall(DOCUMENT.read_text("utf-8"))
    assert len(rows) >= 20
    found = dict(
        re.findall(r"ERROR at teardown of (\w+) _+\n.*?strictness:\n(.*?)(?=\n_|\n=)", output, re.S)
    )
    assert set(found) == {name for name, *_ in rows}
    wrong = [
        row
        for row in rows
        if not re.search(rf"^  {row[2]}: .*{re.escape(row[3])}", found[row[0]], re.M)
    ]
    assert wrong == [], output
    result.assert_outcomes(passed=len(rows), errors=len(rows))


@pytest.mark.slow
def test_a_clean_suite_has_no_alarm(suite: pytest.Pytester) -> None:
    suite.runpytest_inprocess(*WITHOUT, "test_clean.py").assert_outcomes(passed=14)


CLIENTS = """
import logging, pytest

async def failing(scope, receive, send):
    if scope["type"] == "http":
        logging.getLogger("kiosk").error("no such thing")
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})

@pytest.fixture
def app():
    return failing

async def test_status(client):
    assert (await client.get("/")).status_code == 500

@pytest.mark.anyio
async def test_anyio(client):
    assert (await client.get("/")).is_server_error

async def test_unseen(client):
    await client.get("/")
"""


@pytest.mark.slow
def test_other_clients_and_loops_have_no_alarm(suite: pytest.Pytester) -> None:
    without = [part for each in WITHOUT[1::2] if each != "no:anyio" for part in ("-p", each)]
    suite.makepyfile(test_clients=CLIENTS)
    result = suite.runpytest_inprocess(*without, "test_clients.py")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["*at teardown of test_unseen*", "*kiosk has logged 'no such thing'*"]
    )
