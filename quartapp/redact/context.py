"""The request in which an error happened: raw, so it never leaves the process."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the request, as it was found: nothing in it is scrubbed.

    `form`, `json`, `path_args` and `referrer_args`, those of the page from which the request came,
    are never shown. They are only read for secrets, which are then
    hidden in messages, locals and the URL. `breadcrumbs` are those of quartapp.breadcrumbs, which
    is above this part.
    """

    mechanism: str = "log"
    method: str = ""
    route: str = ""
    endpoint: str = ""
    url: str = ""
    headers: Iterable[tuple[str, str]] = ()
    form: Mapping[str, object] | None = None
    json: object = None
    path_args: Mapping[str, object] | None = None
    referrer_args: Mapping[str, object] | None = None
    user_id: str = ""
    reference: str = ""
    trace: str = ""
    request_id: str = ""
    breadcrumbs: Sequence[Any] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
