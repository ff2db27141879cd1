"""The settings of error pages."""

from pydantic import Field

from quartapp.settings import PartSettings


class AdmissionSettings(PartSettings):
    """How many requests a worker takes on: see `quartapp.errors.admission`."""

    request_limit: int = Field(default=256, ge=0, le=100_000)
    """Requests that are worked on at a time; 0 for no limit."""
    request_queue: int = Field(default=256, ge=0, le=100_000)
    """Requests that may wait beyond them."""
