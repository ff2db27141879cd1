"""Machines as network namespaces on one bridge, which live as long as the block that made them."""

import ctypes
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PREFIX = "quartapp"
_NAMES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000

ADDRESSES = {"edge": "10.77.0.10", "app1": "10.77.0.11", "app2": "10.77.0.12", "data": "10.77.0.20"}
_SWITCH = "switch"


class NetworkError(RuntimeError):
    """This machine cannot have what the proof needs; the message is one sentence."""


def what_is_missing(programs: Sequence[Path]) -> str:
    """Why no namespaces can be made here, or which program there is not; "" if all is there."""
    if os.geteuid() != 0:
        return "needs root, which makes network namespaces"
    missing = [str(program) for program in programs if not program.exists()]
    if missing:
        return f"needs {', '.join(missing)}"
    return ""


def name_of(machine: str, owner: int) -> str:
    return f"{PREFIX}-{owner}-{machine}"


def is_left_over(name: str) -> bool:
    """Whether a namespace belongs to a run whose process has ended."""
    found = re.fullmatch(rf"{PREFIX}-(\d+)-\w+", name)
    return found is not None and not Path("/proc", found[1]).exists()


class Network:
    """The machines of ADDRESSES, each with one cable to the switch."""

    def __init__(self, owner: int) -> None:
        self._owner = owner

    def name(self, machine: str) -> str:
        return name_of(machine, self._owner)

    def build(self) -> None:
        for machine in (*ADDRESSES, _SWITCH):
            _ip("netns", "add", self.name(machine))
            self._ip(machine, "link", "set", "lo", "up")
        self._ip(_SWITCH, "link", "add", "bridge", "type", "bridge")
        self._ip(_SWITCH, "link", "set", "bridge", "up")
        for machine, address in ADDRESSES.items():
            ends = ("link", "add", machine, "type", "veth", "peer", "name", "eth0")
            self._ip(_SWITCH, *ends, "netns", self.name(machine))
            self.plug(machine)
            self._ip(_SWITCH, "link", "set", machine, "up")
            self._ip(machine, "address", "add", f"{address}/24", "dev", "eth0")
            self._ip(machine, "link", "set", "eth0", "up")

    def plug(self, machine: str) -> None:
        self._ip(_SWITCH, "link", "set", machine, "master", "bridge")

    def unplug(self, machine: str) -> None:
        """Let each packet from and to a machine vanish, without a sign for either side."""
        self._ip(_SWITCH, "link", "set", machine, "nomaster")

    def command(self, machine: str, *words: str) -> list[str]:
        """The command line that runs a program on a machine, which has a host name of its own."""
        start = f'hostname {machine} && exec "$@"'
        return [
            *("ip", "netns", "exec", self.name(machine)),
            *("unshare", "--uts", "sh", "-c", start, "sh", *words),
        ]

    def signal(self, machine: str, number: signal.Signals) -> None:
        _signal(self.name(machine), number)

    def enter(self, machine: str) -> None:
        """Move this thread, and those that it starts, to a machine."""
        library = ctypes.CDLL(None, use_errno=True)
        with (_NAMES / self.name(machine)).open("rb") as file:
            if library.setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def _ip(self, machine: str, *words: str) -> None:
        _ip("-n", self.name(machine), *words)


@contextmanager
def network() -> Iterator[Network]:
    """The machines; at the end, and after runs that were killed, nothing of them is left."""
    _remove(is_left_over)
    owner = os.getpid()
    made = Network(owner)
    try:
        made.build()
        yield made
    finally:
        _remove(lambda name: name.startswith(f"{PREFIX}-{owner}-"))


def _remove(is_meant: "re.Pattern[str] | object") -> None:
    names = [path.name for path in _NAMES.iterdir()] if _NAMES.exists() else []
    for name in names:
        if callable(is_meant) and is_meant(name):
            _signal(name, signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], check=False)


def _signal(name: str, number: signal.Signals) -> None:
    """Send a signal to all processes of a namespace but this one."""
    found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
    for pid in map(int, found.stdout.split()):
        if pid != os.getpid():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise NetworkError(f"cannot make network namespaces here: {done.stderr.strip()}")
