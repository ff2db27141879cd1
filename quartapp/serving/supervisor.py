"""What systemd and a server tell each other: the socket to serve on, and the server's state.

Both are small protocols of environment variables and one unix socket: sd_listen_fds(3) and
sd_notify(3). Other supervisors use them too. Without these variables nothing happens.
"""

import os
import socket
from contextlib import suppress
from time import CLOCK_MONOTONIC, clock_gettime_ns

_FIRST = 3


def inherited_socket() -> socket.socket | None:
    """The socket that the supervisor listens on for this process, or None.

    Takes it: a second call, and processes that this one starts, find none. Raises ValueError if it
    cannot be served on.
    """
    variables = os.environ  # noqa: TID251  # the protocol of the supervisor, no setting
    count = variables.pop("LISTEN_FDS", "")
    pid = variables.pop("LISTEN_PID", "")
    variables.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal() or count == "0":
        return None
    if count != "1":
        raise ValueError(f"the supervisor passed {count} sockets: expected one")
    found = socket.socket(fileno=_FIRST)
    if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM:
        kind = f"{found.family.name}, {found.type.name}"
        found.close()
        raise ValueError(f"the supervisor passed a socket of another kind ({kind}): expected TCP")
    return found


def notify(*states: str) -> None:
    """Tell the supervisor, such as "READY=1", if it listens. Never fails."""
    address = os.environ.get("NOTIFY_SOCKET", "")  # noqa: TID251  # as above
    if address:
        if address.startswith("@"):
            address = f"\0{address[1:]}"
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(states).encode(), address)


def notify_reloading() -> None:
    """Tell the supervisor that a reload begins; it ends with "READY=1"."""
    microseconds = clock_gettime_ns(CLOCK_MONOTONIC) // 1000
    notify("RELOADING=1", f"MONOTONIC_USEC={microseconds}")


def watchdog_interval() -> float | None:
    """Seconds after which to send "WATCHDOG=1" again: half of those that the supervisor waits.

    None if it waits for none of this process.
    """
    variables = os.environ  # noqa: TID251  # as above
    usec, pid = variables.get("WATCHDOG_USEC", ""), variables.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or usec == "0" or pid not in ("", str(os.getpid())):
        return None
    return int(usec) / 2_000_000
