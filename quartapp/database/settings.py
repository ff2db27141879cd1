"""The settings of the database."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from quartapp.database.url import async_url, through_pooler
from quartapp.settings import PartSettings


class DatabaseSettings(PartSettings):
    """The database, and how many connections to it a process may hold."""

    database_url: str = ""
    """An address of SQLite or PostgreSQL; the value has its async driver."""
    database_pool_size: int = Field(default=10, ge=1, le=1000)
    """Connections of a process at most."""
    database_queue: int = Field(default=1024, ge=0, le=100_000)
    """Requests of a route that may wait for a connection."""
    database_timeout: float = Field(default=10.0, ge=0, le=3600)
    """Seconds that a statement may take; 0 means no limit."""

    database_pooler: bool = False
    """PostgreSQL is reached through a pooler in transaction mode, such as PgBouncer."""

    @field_validator("database_url")
    @classmethod
    def _with_driver(cls, value: str) -> str:
        return async_url(value).render_as_string(hide_password=False) if value else ""

    @model_validator(mode="after")
    def _through_pooler(self) -> Self:
        if self.database_pooler and self.database_url:
            url = through_pooler(async_url(self.database_url)).render_as_string(hide_password=False)
            object.__setattr__(self, "database_url", url)  # the model is frozen
        return self
