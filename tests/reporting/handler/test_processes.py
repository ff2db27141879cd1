"""A handler in processes of its own: at their exit, when they fork, and when they are killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.post_office import PostOffice

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]

BEGINNING = """
import asyncio, atexit, logging, os, sys
from quartapp.reporting import QueuedSMTPHandler
assert not {"quart", "sqlalchemy"} & set(sys.modules)
handler = QueuedSMTPHandler(
    ("127.0.0.1", int(sys.argv[1])), "a@example.com", ["b@example.com"], "Failure", None, None, 5.0,
    *sys.argv[2:],
)
logger = logging.getLogger("shop")
logger.addHandler(handler)
"""

EXIT = """
logger.error("Before the loop")
async def main():
    logger.error("In the loop")
asyncio.run(main(), debug=True)
logger.error("After the loop")
def at_exit():
    handler.close()
    logger.error("At exit")
atexit.register(at_exit)
"""

FORK = """
logger.error("Of the parent")
sys.stdout.flush()
child = os.fork()
if child == 0:
    for _ in range(2):
        logger.error("Of the child")
else:
    os.waitpid(child, 0)
    logger.error("Of the parent")
"""

CHILDREN = """
import multiprocessing
context = multiprocessing.get_context("fork")
logger.error("Of the parent")
def work():
    for _ in range(3):
        logger.error("Of a child")
child = context.Process(target=work)
child.start()
child.join()
with context.Pool(1) as pool:
    pool.apply(work)
    pool.close()
    pool.join()
"""

FORK_AMID_AN_IMPORT = """
import threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on, of a fork with threads
from importlib.machinery import PathFinder
amid = threading.Event()
class Slow:
    def find_spec(self, name, path, target=None):
        if name == "MODULE":
            spec = PathFinder.find_spec(name, path)
            execute = spec.loader.exec_module
            def slowly(module):
                amid.set()
                time.sleep(0.3)
                execute(module)
            spec.loader.exec_module = slowly
            return spec
sys.meta_path.insert(0, Slow())
logger.error("Of the parent")
amid.wait(60)
child = os.fork()
logger.error("Of the child" if child == 0 else "Of the parent")
if child:
    os.waitpid(child, 0)
"""

KILL = """
for number in range(50):
    logger.error("Order %s", number)
os.kill(os.getpid(), 9)
"""


def run(body: str, post: PostOffice, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEGINNING + body, str(post.address[1]), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_all_is_mailed_at_the_exit_of_the_interpreter(mails: PostOffice) -> None:
    done = run(EXIT, mails)
    assert (done.returncode, done.stderr) == (0, "")
    subjects = {mail.message["Subject"].split("(")[0].strip() for mail in mails.server.mails}
    assert subjects == {
        "Failure NEW Before the loop",
        "Failure NEW In the loop",
        "Failure NEW After the loop",
        "Failure NEW At exit",
    }


def test_a_forked_child_mails_only_what_it_has_recorded(mails: PostOffice) -> None:
    done = run(FORK, mails)
    assert done.returncode == 0, done.stderr
    counts: dict[str, list[str]] = {}
    for mail, count in zip(mails.server.mails, mails.counts, strict=True):
        what = mail.message["Subject"].split("(")[0].split(maxsplit=2)[2]
        counts.setdefault(what, []).append(count)
    assert counts["Of the child "] == ["2 times"]
    assert counts["Of the parent "] in (["2 times"], ["once", "2 times"])


@pytest.mark.parametrize(
    "module", ["quartapp.reporting.mails.message", "encodings.unicode_escape", "encodings.idna"]
)
def test_a_child_that_is_forked_amid_an_import_mails(mails: PostOffice, module: str) -> None:
    done = run(FORK_AMID_AN_IMPORT.replace("MODULE", module), mails)
    assert (done.returncode, done.stderr) == (0, "")
    subjects = {mail.message["Subject"].split("(")[0].strip() for mail in mails.server.mails}
    assert "Failure NEW Of the child" in subjects


def test_children_of_multiprocessing_mail_what_they_have_recorded(mails: PostOffice) -> None:
    done = run(CHILDREN, mails)
    assert (done.returncode, done.stderr) == (0, "")
    subjects = [mail.message["Subject"].split("(")[0].strip() for mail in mails.server.mails]
    of_children = [
        count
        for subject, count in zip(subjects, mails.counts, strict=True)
        if subject == "Failure NEW Of a child"
    ]
    assert of_children == ["3 times", "3 times"]


def test_kill_9_loses_nothing_with_a_spool(mails: PostOffice, tmp_path: Path) -> None:
    spool = str(tmp_path / "spool")
    for _ in range(2):
        assert run(KILL, mails, spool).returncode == -9
    done = run("", mails, spool)
    assert (done.returncode, done.stderr) == (0, "")
    assert mails.counts[-1] == "100 times"
