"""The settings of the admission limit."""

from pydantic import Field

from quartapp.settings import PartSettings


class AdmissionSettings(PartSettings):
    """How many requests a worker accepts: see `quartapp.errors.admission`."""

    request_limit: int = Field(default=256, ge=0, le=100_000)
    """Requests that are processed at a time; 0 means no limit."""
    request_queue: int = Field(default=256, ge=0, le=100_000)
    """Further requests that may wait."""
