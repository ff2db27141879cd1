"""What stands in for sudo, systemctl, systemd-run and journalctl, by the name it is called with.

A unit is verified by systemd's own tool, and then started as it says: user, environment, folders,
sockets, readiness, no capability, and a root that is read-only but for its folders. Filters of
system calls and the other settings of hardening are not applied.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS = Path("/etc/systemd/system")
STATE = Path("/run/units")
Unit = dict[str, list[str]]


def read(name: str) -> Unit:
    unit: Unit = {}
    for line in (UNITS / name).read_text("utf-8").splitlines():
        key, found, value = line.partition("=")
        if found and not line.startswith("#"):
            unit.setdefault(key, []).append(value)
    return unit


def full(name: str) -> str:
    return name if "." in name else f"{name}.service"


def settings(unit: Unit) -> dict[str, str]:
    values = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    for pair in " ".join(unit.get("Environment", [])).split():
        name, _, value = pair.partition("=")
        values[name] = value
    for path in unit.get("EnvironmentFile", []):
        for line in Path(path).read_text("utf-8").splitlines():
            if "=" in line and not line.startswith("#"):
                name, _, value = line.partition("=")
                values[name] = value
    return values


def as_unit(unit: Unit, command: str) -> list[str]:
    """The command line that runs a command as the unit says."""
    user = unit["User"][0]
    writable = []
    for key, parent in (("StateDirectory", "/var/lib"), ("LogsDirectory", "/var/log")):
        for name in unit.get(key, []):
            folder = Path(parent, name)
            mode = unit.get(f"{key}Mode", ["0755"])[0]
            subprocess.run(
                ["install", "-d", "-o", user, "-g", user, "-m", mode, folder], check=True
            )
            writable.append(f"mount --bind {folder} {folder}")
    writable += ["mount -t tmpfs none /tmp", "mount -o remount,bind,ro /"]
    [start_in] = unit.get("WorkingDirectory", ["/"])
    person = f"setpriv --reuid={user} --regid={user} --init-groups --no-new-privs"
    script = (
        f"{' && '.join(writable)} && cd {start_in} && exec {person} --bounding-set=-all {command}"
    )
    return ["unshare", "--mount", "sh", "-c", script]


def start(name: str) -> int:
    unit = read(name)
    if name.endswith(".timer"):
        print(f"{name} is verified; there is no clock of systemd here")
        return 0
    STATE.mkdir(exist_ok=True)
    if name.endswith(".socket"):
        (STATE / name).write_text("0")  # opened with its service
        return 0
    kind = unit.get("Type", ["simple"])[0]
    sockets = [
        listening(UNITS / one) for one in unit.get("Requires", []) if one.endswith(".socket")
    ]
    values = settings(unit)
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if kind.startswith("notify"):
        address = STATE / "notify"
        address.unlink(missing_ok=True)
        notified.bind(str(address))
        address.chmod(0o777)
        values["NOTIFY_SOCKET"] = str(address)
    command = unit["ExecStart"][0]
    if sockets:
        # LISTEN_PID is that of the process that the shell becomes.
        command = f"sh -c 'LISTEN_PID=$$ LISTEN_FDS={len(sockets)} exec {command}'"
        for number, one in enumerate(sockets):
            os.dup2(one.fileno(), 3 + number)
    with (STATE / f"{name}.journal").open("ab") as journal:
        process = subprocess.Popen(
            as_unit(unit, command),
            env=values,
            stdout=journal,
            stderr=journal,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=range(3, 3 + len(sockets)),
        )
    if kind == "oneshot":
        return process.wait()
    (STATE / name).write_text(str(process.pid))
    if kind.startswith("notify"):
        notified.settimeout(60)
        while "READY=1" not in notified.recv(4096).decode():
            pass
        # Whoever stays behind reads what is sent later.
        if os.fork() == 0:
            os.setsid()
            for number in range(3):
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            notified.settimeout(None)
            while True:
                with (STATE / f"{name}.notified").open("ab") as file:
                    file.write(notified.recv(4096) + b"\n")
    elif process.poll() is not None:
        return process.returncode
    return 0


def listening(path: Path) -> socket.socket:
    [address] = read(path.name)["ListenStream"]
    host, _, port = address.rpartition(":")
    return socket.create_server((host, int(port)), backlog=1024)


def process_of(name: str) -> int:
    """The process of the unit; 0 if it has ended."""
    file = STATE / name
    if not file.exists():
        return 0
    number = int(file.read_text())
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return 0
    return 0 if state == "Z" else number


def stop(name: str) -> int:
    if not (number := process_of(name)):
        return 0
    os.kill(number, signal.SIGTERM)
    limit = float(read(name).get("TimeoutStopSec", ["90"])[0].removesuffix("s"))
    deadline = time.monotonic() + limit
    while process_of(name):
        if time.monotonic() > deadline:
            print(f"{name} did not stop within {limit} s", file=sys.stderr)
            return 1
        time.sleep(0.05)
    return 0


def reload(name: str) -> int:
    unit = read(name)
    command = unit["ExecReload"][0].replace("$MAINPID", str(process_of(name)))
    return subprocess.run(as_unit(unit, command), env=settings(unit), check=False).returncode


def verify() -> int:
    files = sorted(str(path) for path in UNITS.glob("microblog*.*"))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *files]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    print(said.stderr, end="")
    return 1 if said.returncode or said.stderr else 0


def systemctl(words: list[str]) -> int:
    options = [word for word in words if word.startswith("-")]
    act, *names = [word for word in words if not word.startswith("-")]
    names = [full(name) for name in names]
    if act == "daemon-reload":
        return verify()
    if act == "kill":
        [name] = names
        sign = next(one.partition("=")[2] for one in options if one.startswith("--signal="))
        os.kill(process_of(name), getattr(signal, sign))
        return 0
    if act == "enable":
        code = max(0 if "[Install]" in (UNITS / name).read_text() else 1 for name in names)
        acts = [start] if "--now" in options else []
    else:
        code, acts = (
            0,
            {"start": [start], "stop": [stop], "restart": [stop, start], "reload": [reload]}[act],
        )
    return max([code, *(one(name) for one in acts for name in names)])


def systemd_run(words: list[str]) -> int:
    at = words.index("--")
    unit: Unit = {}
    for word in words[:at]:
        name, _, value = word.removeprefix("--property=").partition("=")
        if word.startswith("--property="):
            unit.setdefault(name, []).append(value)
        if word.startswith("--uid="):
            unit["User"] = [value]
        if word.startswith("--working-directory="):
            unit["WorkingDirectory"] = [value]
    command = " ".join(f"'{word}'" for word in words[at + 1 :])
    return subprocess.run(as_unit(unit, command), env=settings(unit), check=False).returncode


def journalctl(words: list[str]) -> int:
    name = full(words[words.index("-u") + 1])
    print((STATE / f"{name}.journal").read_text("utf-8"), end="")
    return 0


if __name__ == "__main__":
    called = Path(sys.argv[0]).name
    if called == "sudo":
        os.execvp(sys.argv[1], sys.argv[1:])
    functions = {"systemctl": systemctl, "systemd-run": systemd_run, "journalctl": journalctl}
    sys.exit(functions[called](sys.argv[1:]))
