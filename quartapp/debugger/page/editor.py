"""Links that open a line of source in the developer's editor."""

import os
import re
from urllib.parse import quote, urlsplit

EDITORS = {
    "cursor": "cursor://file/{path}:{line}",
    "emacs": "emacs://open?url=file://{path}&line={line}",
    "idea": "idea://open?file={path}&line={line}",
    "macvim": "mvim://open?url=file://{path}&line={line}",
    "nova": "nova://open?path={path}&line={line}",
    "pycharm": "pycharm://open?file={path}&line={line}",
    "sublime": "subl://open?url=file://{path}&line={line}",
    "textmate": "txmt://open?url=file://{path}&line={line}",
    "vscode": "vscode://file/{path}:{line}",
    "vscode-insiders": "vscode-insiders://file/{path}:{line}",
    "vscodium": "vscodium://file/{path}:{line}",
    "windsurf": "windsurf://file/{path}:{line}",
    "zed": "zed://file/{path}:{line}",
}
"""The addresses that editors register on a desktop, by their names."""

MAX_PATTERN = 500

_NOT_OF_EDITORS = frozenset(
    {"about", "blob", "data", "file", "ftp", "javascript", "vbscript", "ws"}
)
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_PLACE = re.compile(r"\{(.*?)\}")


def editor_pattern(value: str) -> str:
    """The pattern of a setting: the name of an editor, or an address with {path} and {line}.

    "" means that there are no links. Raises ValueError with a sentence for people.
    """
    value = value.strip()
    pattern = EDITORS.get(value.lower(), value)
    if not pattern:
        return ""
    if len(pattern) > MAX_PATTERN or not re.fullmatch(r"[\x21-\x7e]+", pattern):
        raise ValueError("must be one word of ASCII characters")
    try:
        parts = urlsplit(pattern)
        host = parts.hostname
    except ValueError:
        raise ValueError("is no address") from None
    if not parts.scheme:
        raise ValueError(f"must be an address or one of {', '.join(EDITORS)}")
    if parts.scheme in _NOT_OF_EDITORS:
        raise ValueError(f"must not be an address of {parts.scheme}")
    if parts.scheme in {"http", "https"} and host not in _LOCAL:
        raise ValueError("must not name another machine, which would get the paths of files")
    places = _PLACE.findall(pattern)
    if "path" not in places or not {"path", "line"}.issuperset(places):
        raise ValueError("must contain {path}, may contain {line}, and nothing else in braces")
    if re.search("[{}]", _PLACE.sub("", pattern)):
        raise ValueError("has a brace without a counterpart")
    return pattern


def editor_link(pattern: str, filename: str, line: int) -> str:
    """The address that opens a line; "" if there is no such file, or no pattern."""
    if not pattern or not os.path.isfile(filename):
        return ""
    path = quote(os.path.abspath(filename), safe="/")
    # `vscode://file/{path}` and `file://{path}` both get one slash.
    pattern = pattern.replace("/{path}", path) if "//{path}" not in pattern else pattern
    return pattern.replace("{path}", path).replace("{line}", str(line))
