"""`make image-steps` builds and runs the image without a container engine, as far as that goes.

The steps of deploy/docker/Dockerfile are executed in a copy-on-write view of this machine's root,
with a Python in /usr/local in place of the base image. What they make is then run as a container
would be: read-only, as the image's user without any capability, as process 1, with nothing writable
but the volumes. Needs root, mount namespaces and overlayfs. Exit code 1 if anything fails.
"""

import argparse
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template

from tests.docs.blocks import ROOT
from tests.system.first_mail import free_port

DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
HIDDEN = ("/home", "/root", "/srv", "/tmp", "/work", "/opt")
"""Folders of this machine that no base image has."""

SETTINGS = {"PROXY_HOPS": "1", "TRUSTED_HOSTS": "localhost", "HSTS_SECONDS": "0"}


def run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Name and arguments of each instruction."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


def in_context(path: str, rules: Sequence[str]) -> bool:
    """Whether .dockerignore lets a file into the context: the last rule that matches decides."""
    taken = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        parents = ["/".join(path.split("/")[:count]) for count in range(1, path.count("/") + 2)]
        names = [pattern, pattern.removeprefix("**/")]
        if any(fnmatch.fnmatchcase(one, name) for one in parents for name in names) or (
            pattern.startswith("**/")
            and any(fnmatch.fnmatchcase(p, pattern[3:]) for p in path.split("/"))
        ):
            taken = rule.startswith("!")
    return taken


class Image:
    """What the Dockerfile makes, in folders below `work`."""

    def __init__(self, work: Path, prefix: Path) -> None:
        self.work, self.prefix = work, prefix
        self.stages: list[Path] = []
        self.environment: dict[str, str] = {}
        self.folder, self.user = "/", "0:0"
        self.volumes: list[str] = []
        self.command: list[str] = []
        self.check: list[str] = []
        self.context = self._context()

    def _context(self) -> Path:
        rules = [
            line
            for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        context = self.work / "context"
        for path in ROOT.rglob("*"):
            name = str(path.relative_to(ROOT))
            if path.is_file() and not name.startswith(".venv") and in_context(name, rules):
                (context / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, context / name)
        return context

    def build(self) -> None:
        names: dict[str, Path] = {}
        for name, rest in instructions(DOCKERFILE.read_text("utf-8")):
            print(f"{name} {rest}"[:110], flush=True)
            match name:
                case "FROM":
                    self.stages.append(self._base(len(self.stages)))
                    self.environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
                    self.folder, self.user = "/", "0:0"
                    if " AS " in rest:
                        names[rest.rpartition(" ")[2]] = self.root
                case "RUN":
                    self._run_step(rest)
                case "COPY":
                    self._copy(rest, names)
                case "ENV":
                    for key, value in re.findall(r"(\w+)=(\S*)", rest):
                        self.environment[key] = Template(value).safe_substitute(self.environment)
                case "ARG":
                    self.environment.setdefault(*rest.split("=", 1))
                case "WORKDIR":
                    self.folder = rest
                    self.inside(rest).mkdir(parents=True, exist_ok=True)
                case "USER":
                    self.user = rest
                case "VOLUME":
                    self.volumes += json.loads(rest)
                case "CMD":
                    self.command = json.loads(rest)
                case "HEALTHCHECK":
                    self.check = json.loads(rest.partition(" CMD ")[2])
                case "EXPOSE" | "STOPSIGNAL":
                    pass
                case _:
                    raise SystemExit(f"unknown instruction {name}")

    @property
    def root(self) -> Path:
        return self.stages[-1]

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _base(self, number: int) -> Path:
        place = self.work / f"stage{number}"
        for name in ("upper", "work", "root"):
            (place / name).mkdir(parents=True)
        for folder in HIDDEN:
            empty = place / "upper" / folder[1:]
            empty.mkdir(mode=0o755)
            os.setxattr(empty, "trusted.overlay.opaque", b"y")
        (place / "upper" / "tmp").chmod(0o1777)
        root = place / "root"
        options = f"lowerdir=/,upperdir={place / 'upper'},workdir={place / 'work'}"
        run("mount", "-t", "overlay", "overlay", "-o", options, root)
        run("mount", "--bind", self.prefix, root / "usr/local")
        run("mount", "--bind", "/dev", root / "dev")
        run("mount", "-t", "proc", "proc", root / "proc")
        run("chroot", root, "ldconfig")  # as the base image has done
        return root

    def _run_step(self, script: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        step = ["chroot", str(self.root), "sh", "-ec", f"cd {self.folder}; {script}"]
        subprocess.run(step, check=True, env=kept | self.environment)

    def _copy(self, rest: str, stages: Mapping[str, Path]) -> None:
        *sources, target = rest.split()
        origin = self.context
        if sources[0].startswith("--from="):
            origin = stages[sources.pop(0).partition("=")[2]]
        place = self.inside(str(Path(self.folder, target)))
        for source in sources:
            path = origin / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True)
            else:
                into = place / path.name if target.endswith("/") or len(sources) > 1 else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)

    def freeze(self, volumes: Sequence[str]) -> None:
        """Make the root read-only, with a new file system at each volume, as its folder is."""
        for path in (*self.volumes, *volumes):
            folder = self.inside(path)
            status = folder.stat()
            run("mount", "-t", "tmpfs", "volume", folder)
            os.chown(folder, status.st_uid, status.st_gid)
            folder.chmod(status.st_mode & 0o7777)
        run("mount", "-o", "remount,ro", self.root)

    def start(self, command: Sequence[str], folder: str = "", **more: str) -> subprocess.Popen[str]:
        """Start a command as a container does: its user, no capability, process 1."""
        user, group = self.user.split(":")
        words = [
            *("unshare", "--pid", "--fork", "--kill-child", "--uts", "--ipc"),
            *("chroot", str(self.root), "setpriv", f"--reuid={user}", f"--regid={group}"),
            *("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
            *("env", f"--chdir={folder or self.folder}", *command),
        ]
        return subprocess.Popen(words, env=self.environment | more, stdout=-1, stderr=-2, text=True)

    def call(self, command: Sequence[str], folder: str = "", **more: str) -> tuple[int, str]:
        started = self.start(command, folder, **more)
        output, _ = started.communicate(timeout=120)
        return started.returncode, output


def prove(image: Image) -> None:
    """Serve, record an error, and stop, with nothing to write to but the volumes."""
    environment = SETTINGS | {"PORT": free_port(0), "MAIL_SERVER": ""}
    expect(image.call(["touch", "/app/x"]), 1, "Read-only file system")
    expect(image.call(["sh", "/app/first_start.sh"]), 0)
    secrets = image.inside("/secrets/.env").read_text("ascii")
    expect(image.call(["cat", "/secrets/.env"]), 0, secrets)
    # There is no PostgreSQL in this container: SQLite in the volume instead.
    environment["DATABASE_URL"] = "sqlite:////var/lib/microblog/microblog.db"
    expect(
        image.call(["quart", "--app", "quartapp", "db", "upgrade"], "/secrets", **environment), 0
    )
    expect(image.call(image.check, **environment), 1, "not ready")
    server = image.start(image.command, "/secrets", **environment)
    begun = time.monotonic()
    while image.call(image.check, **environment)[0]:
        if server.poll() is not None or time.monotonic() > begun + 60:
            server.kill()
            raise SystemExit(f"It does not get ready:\n{server.communicate()[0]}")
        time.sleep(0.2)
    print(f"ready after {time.monotonic() - begun:.1f} s")
    test = ["quart", "--app", "quartapp", "errors", "test"]
    print(expect(image.call(test, "/secrets", **environment), 0))
    inner = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0]
    assert "NSpid:\t" + inner + "\t1\n" in Path(f"/proc/{inner}/status").read_text(), "process 1"
    begun = time.monotonic()
    os.kill(int(inner), signal.SIGTERM)
    output, _ = server.communicate(timeout=30)
    print(output)
    print(f"stopped after {time.monotonic() - begun:.1f} s with {server.returncode}")
    assert server.returncode == 0
    assert "Microblog startup" in output


def expect(result: tuple[int, str], code: int, text: str = "") -> str:
    assert result[0] == code, result
    assert text in result[1], result
    return result[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--python", type=Path, default=Path(sys.base_prefix), help="what is /usr/local"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:  # again, where mounts are seen by nobody else
        words = [sys.executable, "-m", "tests.system.image_steps", "--inside"]
        words += ["--python", str(arguments.python)]
        os.execvp("unshare", ["unshare", "--mount", *words])
    work = Path(tempfile.gettempdir(), "image-steps")
    work.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "image-steps", work)
    image = Image(work, arguments.python)
    image.build()
    image.freeze(["/secrets", "/tls"])
    prove(image)
    print("The image serves, records and stops: read-only, as its user, as process 1.")


if __name__ == "__main__":
    main()
