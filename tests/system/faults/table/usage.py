"""What the processes of a server hold."""

from dataclasses import astuple, dataclass, fields

import psutil

MB = 1024 * 1024


@dataclass(frozen=True)
class Usage:
    """Of all processes together. `connections` are those of their pools that are in use."""

    connections: int
    tasks: int
    threads: int
    files: int
    memory: int

    def least(self, other: "Usage") -> "Usage":
        """The least of each of two."""
        return Usage(*map(min, astuple(self), astuple(other)))

    def exceeds(self, before: "Usage") -> list[str]:
        """What is held beyond before, as sentences; pools and caches may have grown a little."""
        allowed = Usage(connections=0, tasks=2, threads=8, files=8, memory=32 * MB)
        found = []
        for name in (field.name for field in fields(self)):
            was, now = getattr(before, name), getattr(self, name)
            if now - was > getattr(allowed, name):
                unit = MB if name == "memory" else 1
                found.append(f"{name} {was // unit} -> {now // unit}")
        return found


def of_processes(master: int, connections: int, tasks: int, idle: int) -> Usage:
    """The usage of a server, by its process id, and of its workers.

    Of their threads so many are idle: at most 64 of each process are kept for later requests.
    """
    parent = psutil.Process(master)
    family = [parent, *parent.children(recursive=True)]
    return Usage(
        connections,
        tasks,
        sum(process.num_threads() for process in family) - idle,
        sum(process.num_fds() for process in family),
        sum(process.memory_info().rss for process in family),
    )
