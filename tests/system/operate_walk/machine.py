"""An empty machine: this one's root without what is ours, in which a document's commands are run.

It is an overlay of `/` with folders emptied, a network of its own, and processes of its own. What
systemd, sudo and journald do for the commands does `stand_ins.py`, as systemd is not process 1.
Needs root. Call `enter` first, in a process that ends afterwards.
"""

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.docs.blocks import ROOT

EMPTY = ("home", "opt", "root", "srv", "tmp", "var/lib/microblog", "var/log/microblog", "work")
EMPTY_TOO = ("etc/microblog.env", "etc/nginx/microblog", "etc/nginx/conf.d", "var/log/nginx")
STAND_INS = ("sudo", "systemctl", "systemd-run", "journalctl")
KEPT = ("HOME", "OLDPWD", "PWD", "SHLVL")
"""Variables that a line does not set for the next one."""
PASSWORD = "cat-on-the-mat"
HOST = "microblog.example.com"
QUESTION = re.compile(r"(?i)(?:password|again|confirmation|y/n)[^\n]*: ?$")


def run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True)


def enter(module: str) -> None:
    """Continue in namespaces for mounts and processes; all that is started ends with this."""
    if os.getpid() != 1:
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.execvp("unshare", [*namespaces, sys.executable, "-m", module, *sys.argv[1:]])


class Machine:
    def __init__(self, python: Path) -> None:
        # Mounts end with this process: nothing of it is ever deleted, least of all what is mounted.
        work = Path("/mnt")
        run("mount", "-t", "tmpfs", "walk", work)
        self.root = work / "root"
        self.variables: dict[str, str] = {}
        self.folder = "/root"
        self._make(work, python)
        self._network = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up; echo; exec sleep infinity"],
            stdout=-1,
        )
        assert self._network.stdout is not None
        self._network.stdout.readline()
        self.background: dict[str, subprocess.Popen[bytes]] = {}

    def _make(self, work: Path, python: Path) -> None:
        for name in ("upper", "work", "root"):
            (work / name).mkdir()
        for name in (*EMPTY, *EMPTY_TOO):
            if Path("/", name).is_dir() or name in EMPTY:
                folder = work / "upper" / name
                folder.mkdir(parents=True)
                os.setxattr(folder, "trusted.overlay.opaque", b"y")
        for name in ("var/lib/microblog", "var/log/microblog"):
            (work / "upper" / name).rmdir()
        layers = f"lowerdir=/,upperdir={work / 'upper'},workdir={work / 'work'}"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        self.inside("/tmp").chmod(0o1777)
        self._show(python, "/opt/python")
        self._show(ROOT, "/root/ours")
        self._show(Path("/dev"), "/dev")
        run("mount", "--bind", "/dev/pts", self.inside("/dev/pts"))
        run("mount", "-t", "tmpfs", "shm", self.inside("/dev/shm"))
        run("mount", "-t", "proc", "proc", self.inside("/proc"))
        run("mount", "-t", "tmpfs", "run", self.inside("/run"))
        self.inside("/etc/ld.so.conf.d/python.conf").write_text("/opt/python/lib\n")
        with self.inside("/etc/hosts").open("a") as hosts:
            hosts.write(f"\n127.0.0.1 localhost {HOST}\n")
        text = Path(__file__).with_name("stand_ins.py").read_text("utf-8")
        for name in STAND_INS:
            for place in ("/usr/bin", "/usr/local/bin", "/usr/sbin"):
                self.inside(f"{place}/{name}").unlink(missing_ok=True)
            program = self.inside(f"/usr/bin/{name}")
            program.write_text(f"#!/opt/python/bin/python3\n{text}")
            program.chmod(0o755)
        run("chroot", self.root, "ldconfig")

    def _show(self, folder: Path, path: str) -> None:
        """Let the machine read a folder of ours."""
        self.inside(path).mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", folder, self.inside(path))
        run("mount", "-o", "remount,bind,ro", self.inside(path))

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        path = "/opt/python/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return (
            kept
            | {"HOME": "/root", "LANG": "C.UTF-8", "PATH": path, "TERM": "dumb"}
            | self.variables
        )

    def words(self, line: str, *, outside: bool) -> list[str]:
        """A command line in a shell of this machine; `outside` of it is the package index."""
        network = [] if outside else ["nsenter", f"--net=/proc/{self._network.pid}/ns/net"]
        script = f"set -eo pipefail\ncd {self.folder}\n{line}\n"
        after = "{ export -p; pwd; } > /tmp/.walk\n"
        return [*network, "chroot", str(self.root), "bash", "-c", script + after]

    def sh(self, line: str, *, code: int = 0, outside: bool = False, echo: bool = True) -> str:
        """Run a line as a person does, who answers its questions for passwords with PASSWORD.

        Exported variables and the current folder stay for the next line.
        """
        if echo:
            print(f"$ {line}", flush=True)
        child, terminal = pty.fork()
        if child == 0:
            words = self.words(line, outside=outside)
            os.execvpe(words[0], words, self.environment)
        output, answered = "", 0
        while True:
            try:
                data = os.read(terminal, 65536)
            except OSError:  # the terminal is closed
                break
            if not data:
                break
            output += data.decode("utf-8", "replace").replace("\r\n", "\n")
            if QUESTION.search(output, answered):
                answer = "password" if "createuser" in line else PASSWORD
                if output.rstrip().endswith("[y/N]:"):
                    answer = "y"
                os.write(terminal, f"{answer}\n".encode())
                answered = len(output)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(terminal)
        if status != code:
            raise SystemExit(f"It failed with exit code {status}:\n{output}")
        self._remember()
        return output

    def _remember(self) -> None:
        state = self.inside("/tmp/.walk")
        if state.exists():
            *exports, self.folder = state.read_text("utf-8").splitlines()
            state.unlink()
            for line in exports:
                found = re.fullmatch(r'declare -x (\w+)="(.*)"', line)
                if found and found[1] not in KEPT and not found[1].startswith("PIP_"):
                    self.variables[found[1]] = re.sub(r"\\(.)", r"\1", found[2])

    def start(self, line: str, name: str, *, outside: bool = False, **more: str) -> None:
        """Start a line in the background; `stop` ends it."""
        print(f"$ {line} &", flush=True)
        output = self.inside(f"/tmp/{name}.output").open("wb")
        self.background[name] = subprocess.Popen(
            self.words(f"exec {line.partition(' #')[0]}", outside=outside),
            env=self.environment | more,
            stdout=output,
            stderr=output,
        )

    def stop(self, name: str) -> int:
        process = self.background.pop(name)
        process.terminate()
        return process.wait(60)

    def get(
        self, url: str, *, code: str = "200", seconds: float = 60, outside: bool = False
    ) -> str:
        """What an address answers, asked until it does so with this status."""
        command = f"curl -sk -m 10 -w '\\n%{{http_code}}' -H 'Accept: text/html' {url}"
        answer = ""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            done = subprocess.run(
                self.words(command, outside=outside),
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            answer = done.stdout
            body, _, status = answer.rpartition("\n")
            if status == code:
                return body
            time.sleep(0.3)
        files = [
            *self.inside("/tmp").glob("*.output"),
            *self.inside("/run/units").glob("*.journal"),
        ]
        outputs = "\n".join(f"== {file.name}\n{file.read_text('utf-8')}" for file in files)
        raise SystemExit(f"{url} answers {answer!r}\n{outputs}")
