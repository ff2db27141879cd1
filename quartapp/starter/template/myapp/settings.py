"""The settings: from the environment, then from the file .env, then the defaults below.

Only the fields below are read. For another key of a part, such as ERRORS_API_PATHS, add a field.
"""

import os
from typing import Any

from dotenv import load_dotenv
from pydantic import Field, field_validator
from quartapp.settings import PartSettings


class Settings(PartSettings):
    """Each field is a variable: `secret_key` is SECRET_KEY. .env.example describes them."""

    secret_key: str = Field(min_length=32)
    secret_key_fallbacks: tuple[str, ...] = ()
    database_url: str = "sqlite:///myapp.db"
    instance_path: str | None = None
    admins: str = ""
    mail_server: str = ""
    mail_port: int = 25
    mail_use_tls: bool = False
    mail_username: str = ""
    mail_password: str = ""
    errors_contact: str = ""

    @field_validator("secret_key_fallbacks", mode="before")
    @classmethod
    def _split(cls, value: str) -> list[str]:
        return [key for each in value.split(",") if (key := each.strip())]

    def to_config(self) -> dict[str, Any]:
        """The settings under their names in `app.config`."""
        return {name.upper(): value for name, value in self}


def load_settings() -> Settings:
    """Read the settings. Raises ConfigurationError, which names each variable with a fault."""
    load_dotenv()
    return Settings.from_config(os.environ)
