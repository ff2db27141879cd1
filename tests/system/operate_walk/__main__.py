"""Follow the documents for operators line by line, and look at what they claim.

Every block of a shell is run as it is printed, but for the lines in `NOT_RUN` and `REPLACED`, which
say why. `BEFORE` prepares what a document takes for granted; `AFTER` looks at what it promises.
"""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.docs.blocks import ROOT, Block, blocks_of
from tests.system.first_mail import free_port
from tests.system.operate_walk.machine import HOST, Machine, enter

DOCUMENTS = ("operate", "deploy", "update", "backup", "watch")
CHECKOUT = "/root/checkout"
ON_POSTGRESQL = "postgresql://microblog:password@localhost/microblog"
REQUEST = "a-request-of-the-walk"
SITE = f"https://{HOST}"

NOT_RUN = {
    r"^quart --app app run|QUART_METRICS": "docs/examples/metrics has a test of its own",
    r"^docker ": "no Docker runs here: make image-steps, and the tests of compose.yaml",
}
REPLACED = {
    # The documents' example of a time, for that of the backup just made.
    r"/srv/backups/quartapp-\d{8}T\d{6}Z\.sqlite": "$(ls -t /srv/backups/*.sqlite | head -n 1)",
    r"/srv/backups/microblog-\d{8}T\d{6}Z\.dump": "$(ls -t /srv/backups/*.dump | head -n 1)",
    # Of a request that this walk has sent.
    r"5f0c0d7b1f3f4f6c9a7a0b8a53ad21f7": REQUEST,
}
IN_BACKGROUND = r"^\.venv/bin/python run\.py"
WITH_PACKAGES = r"make install-server"
AS_POSTGRES = r"^(createuser|createdb|dropdb) "


def ready(machine: Machine) -> None:
    machine.get(f"http://{HOST}:5000/health")
    machine.get(f"http://{HOST}:5000/ready")


def behind_nginx(machine: Machine) -> None:
    assert "Microblog" in machine.get(f"{SITE}/")
    assert machine.get(f"http://{HOST}/", code="301") is not None
    machine.get("https://127.0.0.1/", code="400")
    machine.sh("sudo systemctl stop microblog")
    assert "not available right now" in machine.get(f"{SITE}/", code="502")
    machine.sh("sudo systemctl start microblog")
    machine.get(f"{SITE}/ready")


def exit_codes(machine: Machine) -> None:
    """What docs/operate.md says about them."""
    machine.sh("PORT=5000 .venv/bin/python run.py", code=1)
    machine.sh("SECRET_KEY=short .venv/bin/python run.py", code=2)
    assert machine.stop("server") == 0


def is_newest(machine: Machine) -> None:
    assert machine.sh(".venv/bin/quartapp db upgrade", echo=False).count("migrated") == 0


def two_keys(machine: Machine) -> None:
    assert len(machine.inside(f"{CHECKOUT}/instance/secret_key").read_text().split()) == 2
    machine.sh(f"cd {CHECKOUT}")


def backed_up(machine: Machine) -> None:
    assert list(machine.inside("/var/lib/microblog/backups").iterdir())


BEFORE: dict[str, list[str]] = {
    ".venv/bin/quartapp reload ": [
        "sudo systemctl stop microblog",
        ".venv/bin/quartapp db upgrade",
        "& .venv/bin/python run.py --local",
    ],
    "quart --app quartapp db backup ": ["export PATH=.venv/bin:$PATH"],
    "createdb --owner microblog microblog\nquart": [
        f"DATABASE_URL={ON_POSTGRESQL} quart --app quartapp db upgrade",
        f"DATABASE_URL={ON_POSTGRESQL} quart --app quartapp db backup /srv/backups",
        "dropdb -h localhost -U postgres microblog",
        f"export DATABASE_URL={ON_POSTGRESQL}",
    ],
    "createdb --owner microblog drill": [
        f"DATABASE_URL={ON_POSTGRESQL} quart --app quartapp db backup"
    ],
    "sudo install -m 644 deploy/systemd/microblog-backup": ["cd /srv/microblog"],
    "jq ": [
        f"cd {CHECKOUT}",
        "sudo systemctl stop microblog",
        "rm -r logs",
        "export LOG_FORMAT=json ACCESS_LOG=true PROXY_HOPS=1 TRUSTED_HOSTS=microblog.example.com",
        "& .venv/bin/python run.py --local",
        f"curl -s -H 'X-Request-ID: {REQUEST}' http://microblog.example.com:5000/health",
        "sleep 1",
    ],
}
AFTER: dict[str, Callable[[Machine], None]] = {
    ".venv/bin/python run.py": ready,
    ".venv/bin/quart --app quartapp create-admin": exit_codes,
    ".venv/bin/quartapp db upgrade ": is_newest,
    "sudo systemctl enable --now microblog": ready,
    "sudo nginx -s reload": behind_nginx,
    "sudo systemctl reload microblog": ready,
    "sudo systemctl start microblog.socket microblog": ready,
    "mv secret_key.new secret_key": two_keys,
    "sudo systemctl start microblog-backup.service": backed_up,
}


def main() -> None:
    enter("tests.system.operate_walk")
    begun = time.monotonic()
    machine = Machine(Path(sys.base_prefix))
    services(machine)
    clone(machine)
    if not sys.argv[1:]:
        newcomer(machine)
    unused = {*NOT_RUN, *REPLACED, *BEFORE, *AFTER}
    for document in sys.argv[1:] or DOCUMENTS:
        print(f"\n== docs/{document}.md", flush=True)
        machine.variables.clear()
        machine.sh(f"cd {CHECKOUT}", echo=False)
        for block in blocks_of(ROOT / "docs" / f"{document}.md"):
            if block.language == "sh":
                follow(machine, block, unused)
        for process in list(machine.background):
            machine.stop(process)
    if unused and not sys.argv[1:]:
        raise SystemExit(f"No document needs {unused} any more.")
    print(f"\nThe documents were followed in {time.monotonic() - begun:.0f} s.")
    print(
        "systemd is not process 1 here: its own tools verified the units, and a stand-in ran them."
    )


def services(machine: Machine) -> None:
    """What a distribution brings, as its packages start it: PostgreSQL and nginx."""
    machine.sh("install -d -o postgres -g postgres /tmp/postgres /run/postgresql", echo=False)
    server = "$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)"
    as_postgres = "cd / && setpriv --reuid=postgres --regid=postgres --init-groups"
    machine.sh(
        f"{as_postgres} {server}/initdb -D /tmp/postgres -A trust -U postgres -E UTF8", echo=False
    )
    machine.sh(
        f"{as_postgres} {server}/pg_ctl -D /tmp/postgres -w -l /tmp/postgres/log start", echo=False
    )
    machine.sh("mkdir -p /etc/nginx/conf.d /var/log/nginx; nginx", echo=False)


def clone(machine: Machine) -> None:
    machine.sh("git clone -q --bare /root/ours /root/origin", echo=False)
    url = "https://git.example.com/web/microblog"
    machine.sh(f"git config --global url./root/origin.insteadOf {url}")
    machine.sh(f"git clone -q {url} {CHECKOUT}")


def newcomer(machine: Machine) -> None:
    """The first command of the README, in a fresh clone."""
    print("== README.md", flush=True)
    machine.sh(f"cd {CHECKOUT}")
    port = free_port(0)
    begun = time.monotonic()
    machine.start("make run", "run", outside=True, PORT=port)
    assert "Microblog" in machine.get(f"http://127.0.0.1:{port}/", seconds=300, outside=True)
    print(f"the page after {time.monotonic() - begun:.0f} s")
    machine.stop("run")


def prepare(machine: Machine, line: str) -> None:
    if line.startswith("& "):
        machine.start(line[2:], "server")
        ready(machine)
    else:
        machine.sh(line)


def follow(machine: Machine, block: Block, unused: set[str]) -> None:
    for start, lines in BEFORE.items():
        if block.text.startswith(start):
            unused.discard(start)
            for line in lines:
                prepare(machine, line)
    for line in block.commands():
        if found := next((rule for rule in NOT_RUN if re.search(rule, line)), ""):
            unused.discard(found)
            print(f"# not run: {line} ({NOT_RUN[found]})")
            continue
        for pattern, value in REPLACED.items():
            line, count = re.subn(pattern, value, line)
            if count:
                unused.discard(pattern)
        if re.search(IN_BACKGROUND, line):
            machine.start(line, "server")
        else:
            person = "PGHOST=localhost PGUSER=postgres " if re.search(AS_POSTGRES, line) else ""
            output = machine.sh(person + line, outside=bool(re.search(WITH_PACKAGES, line)))
            if REQUEST in line:
                assert output.count(REQUEST) >= 1, output
        for prefix, look in AFTER.items():
            if line.startswith(prefix) and prefix in unused:  # once
                unused.discard(prefix)
                look(machine)


if __name__ == "__main__":
    main()
