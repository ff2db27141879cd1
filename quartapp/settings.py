"""What the settings of all parts have in common: keys of `app.config`, and one error for faults.

Each part has a small settings class (`quartapp.mail.settings`, `quartapp.logfile.settings` ...)
with the type, unit and default of every key. A field `mail_port` is the key `MAIL_PORT`. Nothing
here reads the environment; an application that does so fills `app.config` first.
"""

from collections.abc import Mapping
from typing import Any, Self

from click import ClickException
from pydantic import BaseModel, ConfigDict, ValidationError


class ConfigurationError(ClickException, ValueError):
    """Settings are missing or wrong; the message has a line for each fault.

    A ClickException, so that `quart` prints the message instead of a traceback and exits with 2.
    """

    exit_code = 2

    @classmethod
    def of(cls, error: ValidationError) -> Self:
        """All faults of a validation. Values are not repeated, as one may be a password."""
        faults = error.errors(include_url=False, include_input=False)
        return cls("\n".join(map(_sentence, faults)))


class PartSettings(BaseModel):
    """Settings of one part. Immutable; unknown keys are ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The settings that an `app.config` holds. Raises ConfigurationError."""
        try:
            return cls(**{key.lower(): value for key, value in config.items() if key.isupper()})
        except ValidationError as error:
            raise ConfigurationError.of(error) from None


def _sentence(fault: Mapping[str, Any]) -> str:
    text = str(fault["msg"]).removeprefix("Value error, ")
    name = str(fault["loc"][0]).upper() if fault["loc"] else ""
    # "Input should be a valid integer, unable to parse ..." -> "expected a valid integer, ..."
    text = text.replace("Input should be", "expected", 1)
    return f"{name}: {text}" if name else text
