"""The settings of the admission of requests and of their time limits."""

from pydantic import Field

from quartapp.settings import PartSettings


class AdmissionSettings(PartSettings):
    """Which requests a worker accepts, and how long they may take.

    See `quartapp.errors.admission` and `quartapp.errors.deadlines`.
    """

    request_limit: int = Field(default=4096, ge=0, le=100_000)
    """Requests that may be open at a time, because of their memory; 0 accepts all requests."""
    request_queue: int = Field(default=1024, ge=0, le=100_000)
    """Further requests that may wait."""
    request_queue_timeout: float = Field(default=1.0, ge=0, le=60)
    """Seconds for which they wait."""
    request_max_lag: float = Field(default=0.05, ge=0.005, le=10)
    """Seconds by which the event loop may be late before fewer requests are admitted."""
    request_timeout: float = Field(default=30.0, ge=0, le=86_400)
    """Seconds until a request has to be answered; 0 means no limit."""
