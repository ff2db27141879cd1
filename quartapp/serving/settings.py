"""The settings of the server."""

from pydantic import Field

from quartapp.settings import PartSettings


class ServingSettings(PartSettings):
    """Where to listen, and with how many processes."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=5000, ge=0, le=65535)
    """0 lets the kernel choose one."""
    workers: int = Field(default=1, ge=1, le=1024)
    """One worker runs in this process; several are separate processes."""
    proxy_hops: int = Field(default=0, ge=0, le=10)
    """How many proxies are in front of the server: so many forwarded headers are trusted."""
    graceful_timeout: float = Field(default=10, gt=0, le=3600)
    """Seconds that requests get to finish when the server stops, and that stopping gets then."""
