"""docs/runbook.md: a section for each failure and alert, whose texts and commands exist."""

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.command_lines import fault_of

ROOT = Path(__file__).parents[2]
PARTS = ("Seen", "Means", "Do", "Over", "Prevent")
LONGEST = 12
"""Lines of a section, without its heading and empty lines: it is read at night."""

# What others write or are set to: the kernel, nginx, curl, PostgreSQL, Redis, Prometheus, systemd.
FOREIGN = (
    *("Connection refused", "Out of memory: Killed process", "upstream timed out", "PID"),
    *("SSL certificate problem: certificate has expired", "Too many open files", "part", "550"),
    *("SMTPAuthenticationError", "SMTPConnectError", "database disk image is malformed"),
    *("database is locked", "database or disk is full", "idle in transaction", "MainThread"),
    *("SELECT pid, now() - query_start, query FROM pg_stat_activity ORDER BY 2 DESC",),
    *("SIGKILL", "SIGSTOP", "return 503;", "location", ".timeout 5000", "dmesg", "doctor"),
    *(
        "max_connections",
        "BAD",
        "ok",
        "BAD disk",
        "BAD mail server",
        "no answer began within 15 seconds",
    ),
)

_TEXT = re.compile(r"`([^`]+)`")
_SECTION = re.compile(r"^## ([^\n]+)\n\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(_SECTION.findall((ROOT / "docs" / "runbook.md").read_text("utf-8")))


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def bullets(section: str) -> dict[str, str]:
    """The text of each part of a section."""
    pieces = re.split(r"\*\*(\w+)\*\*(?: \([^)]*\))?:", section)
    return dict(zip(pieces[1::2], (" ".join(each.split()) for each in pieces[2::2]), strict=True))


@pytest.fixture(scope="module")
def written() -> str:
    """What the program may write: its sources, with texts of several lines in one."""
    files = [*(ROOT / "quartapp").rglob("*.py"), *(ROOT / "deploy").rglob("*.yml")]
    source = "\n".join(file.read_text("utf-8") for file in files)
    return re.sub(r'"\s*\n\s*f?"', "", source)


@pytest.mark.parametrize("heading", SECTIONS)
def test_a_section_is_complete_and_short(heading: str) -> None:
    section = SECTIONS[heading]
    assert tuple(bullets(section)) == PARTS
    assert len([line for line in section.splitlines() if line]) <= LONGEST


@pytest.mark.parametrize("heading", SECTIONS)
def test_what_is_seen_is_what_the_program_writes(heading: str, written: str) -> None:
    parts = bullets(SECTIONS[heading])
    for text in _TEXT.findall(f"{parts['Seen']} {parts['Over']}"):
        if text in FOREIGN or text.startswith("INSTANCE_PATH/") or not fault_of_command(text):
            continue
        missing = [piece for piece in pieces_of(text) if not is_written(piece, written)]
        assert not missing, f"{text}: nothing writes {missing}"


def pieces_of(text: str) -> list[str]:
    """A text without what differs each time: numbers, and what `...` stands for."""
    return [piece.strip() for piece in re.split(r"\.\.\.|\b\d+\b|\bPID\b", text)]


def is_written(piece: str, written: str) -> bool:
    """A line may be made of two texts: what failed, and why; and /ready makes JSON of Python."""
    python = piece.replace('":"', '": "')
    whole = piece in written or python in written or not piece.strip('"')
    return whole or all(part in written or part in FOREIGN for part in re.split(r": ", piece))


@pytest.mark.parametrize("heading", SECTIONS)
def test_its_commands_exist(heading: str, written: str) -> None:
    parts = bullets(SECTIONS[heading])
    for text in _TEXT.findall(" ".join(parts.values())):
        if " " in text and not is_written(text, written) and text not in FOREIGN:
            fault = fault_of_command(text)
            assert not fault or all(is_written(each, written) for each in pieces_of(text)), fault


def fault_of_command(text: str) -> str:
    """What is wrong with a line: with its first program, if there are several."""
    try:
        return fault_of(text) if shlex.split(text) else "empty"
    except ValueError as error:
        return str(error)


def test_each_failing_part_has_a_section() -> None:
    report = (ROOT / "docs" / "report.md").read_text("utf-8")
    _, _, rest = report.partition("## When a part fails\n\n")
    rows = re.findall(r"^\| (.+?) \| ", rest.partition("\n\n")[0], re.MULTILINE)[1:]
    anchors = {anchor(heading) for heading in SECTIONS}
    for row in rows:
        link = re.fullmatch(r"\[.+\]\(runbook\.md#([\w-]+)\)", row)
        assert link, f"{row} has no link to the runbook"
        assert link[1] in anchors
