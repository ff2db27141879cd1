"""The secrets in an application's configuration."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_SECRET = re.compile(r"(?:PASSW\w*|PWD|SECRET|TOKEN|KEYS?|DSN|CREDENTIALS?|KEY_FALLBACKS)$")
"""Keys of `app.config` whose values are secret. SESSION_COOKIE_NAME is none."""


_WEBHOOK = re.compile(r"WEBHOOKS?(?:_URLS?)?$")
"""Keys whose values are addresses that whoever knows them may post to."""

_SHORTEST_PATH = 12
"""A shorter path, such as /hook, is no secret; to hide it would hide other paths too."""


def config_secrets(config: Mapping[str, Any]) -> list[str]:
    """The values that must be in no report and no log under any name: for the `Scrubber`.

    Those under the names of secrets (SECRET_KEY, MAIL_PASSWORD, STRIPE_API_KEY,
    SECRET_KEY_FALLBACKS), the passwords of addresses, such as REDIS_URL, and the path of an address
    under the name of a webhook.
    """
    held: list[object] = []
    for key, value in config.items():
        if _SECRET.search(key):
            held += value if isinstance(value, list | tuple) else [value]
        if _WEBHOOK.search(key):
            held += _paths(value)
        held.append(_password(value))
    values = (getattr(each, "get_secret_value", lambda each=each: each)() for each in held)
    texts = (each.decode("latin-1") if isinstance(each, bytes) else each for each in values)
    return [str(text) for text in texts if text and not isinstance(text, bool)]


def _paths(value: object) -> list[str]:
    """An address, what is after its host, and the last part of that."""
    text = getattr(value, "get_secret_value", lambda: value)()
    if not isinstance(text, str) or "://" not in text:
        return []
    path = "/" + text.partition("://")[2].partition("/")[2]
    parts = [path, path.rpartition("/")[2]]
    return [text, *(part for part in parts if len(part) >= _SHORTEST_PATH)]


def _password(value: object) -> str | None:
    """The password in an address."""
    try:
        return urlsplit(value).password if isinstance(value, str) and "://" in value else None
    except ValueError:
        return None
