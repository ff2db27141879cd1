"""The settings of metrics."""

from pydantic import Field, SecretStr, field_validator

from quartapp.settings import PartSettings

_LEAST = 16


class MetricsSettings(PartSettings):
    """Who may read the metrics. Without METRICS_TOKEN nobody may."""

    metrics_token: SecretStr | None = Field(default=None)
    """What a scrape sends as `Authorization: Bearer ...`."""

    @field_validator("metrics_token")
    @classmethod
    def _is_a_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        token = value.get_secret_value()
        if len(token) < _LEAST or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError(
                f"expected at least {_LEAST} characters of ASCII without spaces; make one with:"
                " python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        return value
