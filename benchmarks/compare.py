"""Check that two servers show the same pages, before they are timed."""

import json
import re

from benchmarks.servers import Server

PATHS = (
    "/",
    "/explore",
    "/user/alan_ash",
    "/edit_profile",
    "/no-such-page",
    "/boom",
    "/api/posts",
    "/static/app.css",
)

_TOKEN = re.compile(r'(name="(?:csrf_token|form_key)"[^>]*value=")[^"]*')
_REFERENCE = re.compile(r"<p>If you tell us about it.*?</p>", re.S)
_FEEDBACK = re.compile(r'<form class="feedback".*?</form>', re.S)
"""The box in which a person says what they did, which the version on Flask does not have."""
_SPACE = re.compile(r"\s*(<[^>]+>)\s*")


def normal(page: str) -> str:
    """A page without the parts that differ between requests, and without space around tags."""
    page = _TOKEN.sub(r"\1", page)
    page = _FEEDBACK.sub("", _REFERENCE.sub("", page))
    return "\n".join(part for part in _SPACE.split(page) if part.strip())


def fetch(server: Server, path: str, token: str) -> tuple[int, object]:
    """Status and content, comparable between servers."""
    if path.startswith("/api/"):
        status, text, _ = server.get(path, Authorization=f"Bearer {token}")
        return status, json.loads(text)
    status, text, _ = server.get(path, Cookie=server.log_in())
    return status, normal(text)


def differences(
    first: Server, second: Server, token: str, paths: tuple[str, ...] = PATHS
) -> list[str]:
    """The paths whose pages differ. They are compared twice, in case a minute passes in between."""
    different = []
    for path in paths:
        for _ in range(2):
            one, other = fetch(first, path, token), fetch(second, path, token)
            if one == other:
                break
        else:
            different.append(f"{path}: {_where(one, other)}")
    return different


def _where(one: tuple[int, object], other: tuple[int, object]) -> str:
    if one[0] != other[0]:
        return f"status {one[0]} and {other[0]}"
    for left, right in zip(str(one[1]).splitlines(), str(other[1]).splitlines(), strict=False):
        if left != right:
            return f"{left[:120]!r} and {right[:120]!r}"
    return "one is longer"
