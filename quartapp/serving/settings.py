"""The settings of the server."""

import re
from importlib.util import find_spec
from typing import Literal

from pydantic import Field, field_validator

from quartapp.extras import needs
from quartapp.settings import PartSettings

_NEEDED = {
    "hypercorn": (),
    "uvicorn": ("uvicorn", "httptools", "wsproto"),
    "granian": ("granian",),
}
"""The modules that a server needs, apart from those that quartapp requires."""

_NAME = re.compile(r"\.?[a-z0-9-]+(\.[a-z0-9-]+)*")


class ServingSettings(PartSettings):
    """Where to listen, and with how many processes."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=5000, ge=0, le=65535)
    """0 lets the kernel choose one."""
    server: Literal["hypercorn", "uvicorn", "granian"] = "hypercorn"
    """The server that speaks HTTP. Sockets, workers, signals and exit codes are equal in all."""
    workers: int = Field(default=1, ge=1, le=1024)
    """One worker runs in this process; several are separate processes."""
    proxy_hops: int = Field(default=0, ge=0, le=10)
    """How many proxies are in front of the server: so many forwarded headers are trusted."""
    trusted_hosts: tuple[str, ...] = ()
    """The names by which clients reach the server; `.example.com` is all below. () means any."""
    start_timeout: float = Field(default=60, gt=0, le=3600)
    """Seconds within which the application must have started."""
    pid_file: str = ""
    """Where `quartapp reload` finds the server; "" means no file."""
    graceful_timeout: float = Field(default=10, gt=0, le=3600)
    """Seconds that requests get to finish when the server stops, and that stopping gets then."""

    @field_validator("trusted_hosts", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value or ()

    @field_validator("trusted_hosts")
    @classmethod
    def _checked_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(_NAME.fullmatch, value)):
            raise ValueError(
                "expected names like example.com, without scheme or port, with commas between"
            )
        return value

    @property
    def host_fault(self) -> str:
        """Why clients may choose the host to which links lead, behind a proxy; else ""."""
        if not self.proxy_hops or self.trusted_hosts:
            return ""
        return (
            "PROXY_HOPS is set and TRUSTED_HOSTS is not, so clients choose the host to which links "
            "lead: set TRUSTED_HOSTS to the names of this site"
        )

    @property
    def server_fault(self) -> str:
        """Why SERVER cannot be used; else ""."""
        missing = [name for name in _NEEDED[self.server] if find_spec(name) is None]
        if not missing:
            return ""
        return (
            f"SERVER is {self.server}, and this environment has no {' and no '.join(missing)}: "
            f"{self.server} {needs(self.server)}"
        )
