"""What the settings of all parts have in common: keys of `app.config`, and one error for faults.

Each part has a small settings class (`quartapp.mail.settings`, `quartapp.logfile.settings` ...)
with the type, unit and default of every key. A field `mail_port` is the key `MAIL_PORT`. Nothing
here reads the environment; an application that does so fills `app.config` first.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Self

from click import ClickException
from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, ValidationError

_ALIKE = 0.88
"""How much of a key's letters must be those of a known key, in their order, for it to be taken for
a misspelling: one letter of nine may be another one, two neighbours may be exchanged."""


class ConfigurationError(ClickException, ValueError):
    """Settings are missing or wrong; the message has a line for each fault.

    A ClickException, so that `quart` prints the message instead of a traceback and exits with 2.
    """

    exit_code = 2

    @classmethod
    def of(cls, error: ValidationError, *, besides: Iterable[str] = ()) -> Self:
        """All faults of a validation, after the sentences *besides*.

        Values are not repeated, as one may be a password.
        """
        faults = error.errors(include_url=False, include_input=False)
        return cls("\n".join([*besides, *map(_sentence, faults)]))


def _in_one_line(value: str) -> str:
    if value.splitlines() not in ([], [value]) or any(c < " " or c == "\x7f" for c in value):
        raise ValueError("expected one line, without control characters")
    return value


HeaderText = Annotated[str, AfterValidator(_in_one_line)]
"""A setting that is written into header fields, where a line break would begin another field."""


class PartSettings(BaseModel):
    """Settings of one part. Immutable; unknown keys are ignored, unless they are misspelled
    ones."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The settings that an `app.config` holds. Raises ConfigurationError.

        A key whose value is None or "" counts as not set, as it is in
        `os.environ.get("MAIL_PORT")`.
        """
        given = {
            key: value
            for key, value in config.items()
            if key.isupper() and value is not None and value != ""
        }
        faults = misspellings(given, cls.keys())
        try:
            settings = cls(**{key.lower(): value for key, value in given.items()})
        except ValidationError as error:
            raise ConfigurationError.of(error, besides=faults) from None
        if faults:
            raise ConfigurationError("\n".join(faults))
        return settings

    @classmethod
    def keys(cls) -> list[str]:
        """The keys of `app.config` that this part reads."""
        names: list[str] = []
        for name, field in cls.model_fields.items():
            other = field.validation_alias
            choices = other.choices if isinstance(other, AliasChoices) else []
            names += dict.fromkeys([name, *(each for each in choices if isinstance(each, str))])
        return [name.upper() for name in names]


def misspellings(config: Iterable[str], known: Iterable[str]) -> list[str]:
    """A sentence for each key that is probably a misspelling of a known one.

    A known key that is set is not looked for: what resembles it belongs to somebody else.
    """
    given = set(config)
    missing = [key for key in known if key not in given]
    strange = given.difference(known) if missing else ()
    if not strange:
        return []
    found = ((key, _nearest(key, tuple(missing))) for key in sorted(strange))
    return [f"{key}: is unknown; did you mean {near}?" for key, near in found if near]


@lru_cache(10_000)  # a suite makes thousands of applications, each with the same keys
def _nearest(key: str, names: tuple[str, ...]) -> str:
    """The name that a key resembles most, or ""."""
    from difflib import get_close_matches  # 3 ms of a start, for those who have such keys

    return next(iter(get_close_matches(key, names, 1, _ALIKE)), "")


def _sentence(fault: Mapping[str, Any]) -> str:
    text = str(fault["msg"]).removeprefix("Value error, ")
    name = str(fault["loc"][0]).upper() if fault["loc"] else ""
    # "Input should be a valid integer, unable to parse ..." -> "expected a valid integer, ..."
    text = text.replace("Input should be", "expected", 1)
    return f"{name}: {text}" if name else text
