"""`make first-mail` follows docs/start.md to the letter, and says how long it took.

It builds the wheel, takes files and commands from the blocks of the page, and runs them in an empty
folder: a new environment, the application, a mail server, an error, its page and its mail. Exit
code 1 if the mail has not come within five minutes. `--images` renews the pictures of the page and
the mail, with Chromium.
"""

import asyncio
import email
import email.policy
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path

from playwright.async_api import async_playwright

from tests.conftest import CHROMIUM, CHROMIUM_OPTIONS
from tests.docs.blocks import ROOT, Block, blocks_of
from tests.system.dist import build, copy_checkout

PAGE = ROOT / "docs" / "start.md"
IMAGES = ROOT / "docs" / "images"
LIMIT = 300.0
MAIL = re.compile(r"^-+ MESSAGE FOLLOWS -+\n(.*?)^-+ END MESSAGE -+$", re.DOTALL | re.MULTILINE)


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="first-mail-") as name:
        _, wheel = build(copy_checkout(Path(name, "checkout")), Path(name, "dist"))
        folder = Path(name, "shop")
        folder.mkdir()
        shutil.copy(wheel, folder)
        with Reader(folder) as reader:
            begun = time.monotonic()
            mail, seconds = None, 0.0
            for block in blocks_of(PAGE):
                if reader.page and mail is None:
                    mail = reader.wait_for_mail(begun + LIMIT)
                    seconds = time.monotonic() - begun
                reader.follow(block)
            assert mail is not None, "the page does not cause an error"
            if "--images" in arguments:
                asyncio.run(take_pictures(mail, reader.address))
    print(f"From nothing to the mail {mail['Subject']!r}: {seconds:.0f} seconds.")
    return 0


class Reader:
    """Does in a folder what the blocks of a page say. Ends what it has started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.page = ""
        """What curl has printed."""
        self._ports = {"5000": free_port(5000), "8025": free_port(8025)}
        self.address = f"http://localhost:{self._ports['5000']}/"
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.terminate()
            process.wait()

    def follow(self, block: Block) -> None:
        """Write the file, or run the commands."""
        if name := block.about("file") or block.about("same as"):
            (self.folder / Path(name).name).write_text(self._adapted(block.text), "utf-8")
        elif block.language == "sh":
            for line in block.commands():
                words = shlex.split(self._adapted(line))
                if words[-1] == "run" and self._ports["5000"] != "5000":
                    words += ["--port", self._ports["5000"]]
                print(f"$ {shlex.join(words)}", flush=True)
                if block.comment == "in the background":
                    self._start(words)
                else:
                    self._run(words)

    def _adapted(self, text: str) -> str:
        """With other ports, if those of the page are taken on this machine."""
        return re.sub(r"\b(5000|8025)\b", lambda port: self._ports[port[0]], text)

    def _run(self, words: list[str]) -> None:
        command = (
            [*words, "--silent", "--header", "Accept: text/html"] if words[0] == "curl" else words
        )
        done = subprocess.run(
            command, cwd=self.folder, env=environment(), check=False, stdout=-1, text=True
        )
        if done.returncode:
            raise SystemExit(f"It failed with exit code {done.returncode}.")
        if words[0] == "curl":
            self.page = done.stdout
        print(*done.stdout.splitlines()[:20], sep="\n")

    def _start(self, words: list[str]) -> None:
        port = self._ports["8025" if "aiosmtpd" in words else "5000"]
        output = (self.folder / f"output-{port}").open("wb")
        self._started.append(
            subprocess.Popen(
                words, cwd=self.folder, env=environment(), stdout=output, stderr=output
            )
        )
        while free_port(int(port)) == port:
            time.sleep(0.05)

    def wait_for_mail(self, deadline: float) -> EmailMessage:
        """The first mail that the mail server prints. Exits with 1 at the deadline."""
        output = self.folder / f"output-{self._ports['8025']}"
        while time.monotonic() < deadline:
            if found := MAIL.search(output.read_text("utf-8")):
                return email.message_from_string(found[1], policy=email.policy.default)
            time.sleep(0.05)
        raise SystemExit(f"There was no mail:\n{output.read_text()}")


def environment() -> dict[str, str]:
    """Of a person who has nothing of this checkout in theirs."""
    kept = {
        name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "HOME", "LANG"))
    }
    return kept | {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}


def free_port(wanted: int) -> str:
    """This port, or another one if it is taken."""
    for port in (wanted, 0):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return str(one.getsockname()[1])
    raise AssertionError


async def take_pictures(mail: EmailMessage, address: str) -> None:
    """The page in the browser, and the mail as a mail program shows it."""
    html = mail.get_body(("html",))
    assert html is not None
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        page = await browser.new_page(viewport={"width": 860, "height": 300})
        await page.goto(address)
        await page.screenshot(path=IMAGES / "start-page.png")
        page = await browser.new_page(viewport={"width": 860, "height": 360})
        await page.set_content(html.get_content())
        await page.screenshot(path=IMAGES / "start-mail.png", full_page=True)
        await browser.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
