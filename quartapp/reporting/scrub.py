"""Secrets out of whatever is kept or sent.

All texts of a report are scrubbed as one: joined by NUL, replaced in, and split again. A search
through the whole costs less than one through each of two hundred texts.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from html import escape
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import NamedTuple
from urllib.parse import quote

from quartapp.reporting.names import BARE_WORDS, is_secret_name

HIDDEN = "[hidden]"
LONG = "\x01{}\x02"
"""Marks a text that holds more than it will show, for the scrubber to cut."""

SHOWN = 200
_SHORTEST = 4
_LONGEST = 1000
_HEAD = 64
_NUL = "\\x00"
_WRITTEN_AS_IT_IS = re.compile("[A-Za-z0-9_.~-]+")
_RUNS = re.compile("[A-Za-z0-9]+")
_PERCENT = re.compile("%[0-9A-F]{2}")
_ESCAPED = 16
"""The length of one character that was escaped twice."""
_MARKED = re.compile("\x01([^\x00\x01\x02]*)\x02?")
_REST = "[^\\s\"'\x00\x01\x02]*"


class Shape(NamedTuple):
    """What has the look of a secret: if any of `signs` stands in a text in lower case, matches of
    `pattern` are replaced."""

    name: str
    signs: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]


def _shape(name: str, signs: str, pattern: str, replacement: str = HIDDEN) -> Shape:
    return Shape(name, tuple(signs.split("|")), re.compile(pattern, re.I), replacement)


_TO_LINE_END = r"(?:(?!\\n)[^\n\x00\x01\x02])*"

SHAPES: tuple[Shape, ...] = (
    _shape("jwt", "eyj", r"eyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?"),
    _shape("bearer", "bearer", r"(bearer\s+)[\w.~+/=-]{4,}", rf"\g<1>{HIDDEN}"),
    _shape(
        "pem",
        "-----begin",
        r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)"
        r"[^\x00\x02]*?(?:-----END [A-Z ]*-----|(?=[\x00\x02]|$))",
        rf"\g<1>{HIDDEN}",
    ),
    _shape(
        "userinfo",
        "://",
        r"(://)(?:[^\s/:@'\"<>\x00]*:[^\s'\"<>\x00]*|[^\s/'\"<>\x00]+)@",
        rf"\g<1>{HIDDEN}@",
    ),
    # PostgreSQL's text repeats the row: Key (email)=(susan@example.com) already exists.
    _shape(
        "driver detail",
        "detail: |hint: |context: ",
        rf"(?:\n|\\n)?\b(?:DETAIL|HINT|CONTEXT): {_TO_LINE_END}",
        "",
    ),
    _shape(
        "parameters",
        "[parameters: |query argument $",
        r"(\[parameters: |query argument \$\d+: )[^\n\x00\x01\x02]*",
        rf"\g<1>{HIDDEN}",
    ),
    _shape(
        "header",
        "authorization|cookie",
        rf"\b((?:proxy-)?authorization|(?:set-)?cookie)(['\"]?\s*:\s*)(?!\s|\[hidden){_TO_LINE_END}",
        rf"\g<1>\g<2>{HIDDEN}",
    ),
)

_ASSIGNED_WORDS = ("passw", "pwd", "passphrase", "secret", "token", "key", "session", "csrf", "sid")
_ASSIGNMENT = re.compile(
    r"""(?P<name>[\w-]*)(?P<sign>\\*['"]?\s*(?:=>?|:)\s*)
        (?P<value>\\*"[^"\n\x00]*"?|\\*'[^'\n\x00]*'?|[^\s"'\\,;&(){}<>\[\]\x00-\x02?$:%][^\s"'\\,;&)}>\]\x00-\x02]*)
    """,
    re.X,
)
_NAME_BEFORE = re.compile(r"[\w-]*\Z")
_NOT_ASSIGNED = frozenset(("key", "keys", "tokens", "session", "sessions"))
_PLAIN = frozenset(("none", "null", "true", "false", "''", '""'))


class Scrubber:
    """Takes secrets out of texts.

    `known` values go wherever they stand, raw, escaped, quoted or in base64, and so does what has
    one of the `shapes` of a secret, or follows a secret's name (`password=...`).
    """

    def __init__(self, known: Iterable[str] = (), *, shapes: Sequence[Shape] = SHAPES) -> None:
        self._shapes = tuple(shapes)
        self._known = frozenset(form for secret in known for form in forms(secret))

    def text(self, text: str) -> str:
        """One text without secrets; for log files and terminals too. Never raises."""
        return self.clean([text])[0]

    def clean(
        self,
        texts: Sequence[str],
        *,
        secrets: Iterable[str] = (),
        source: Sequence[str] = (),
    ) -> list[str]:
        """The texts, then the lines of source, without the secrets; valid Unicode, no NUL.

        Marked texts (`LONG`) are cut to 200 characters. Lines of source keep what follows a
        secret's name, unless it is a literal: `password = form.password.data` is no secret.
        """
        found = set(self._known)
        for secret in secrets:
            found.update(forms(secret))
        if texts:
            joined = self._of_shape(_without(_joined(texts), found))
            texts = _cut(_assignments(joined)).split("\0")
        if source:
            joined = self._of_shape(_without(_joined(source), found))
            source = [_literals(line) for line in joined.split("\0")]
        return [*texts, *source]

    def _of_shape(self, joined: str) -> str:
        lower = joined.lower()
        for shape in self._shapes:
            if any(sign in lower for sign in shape.signs):
                joined = shape.pattern.sub(shape.replacement, joined)
        return joined


def window(shown: int) -> int:
    """How much of a text that will be cut to `shown` characters has to be scrubbed, so that a
    secret at the cut is found whole."""
    return shown + 800


class Form(NamedTuple):
    """One way to write a secret: where `text` stands, it, or what matches `pattern`, goes."""

    text: str
    pattern: str = ""


def forms(secret: str) -> set[Form]:
    """The forms in which a secret turns up in texts, itself among them.

    Of a long one its beginning as well, which a cut may have left. Nothing for what is too short
    to be told from other text, or is only the name of a secret.
    """
    if len(secret) < _SHORTEST or secret.lower() in BARE_WORDS:
        return set()
    found = {Form(text) for text in _written(secret)} if len(secret) <= _LONGEST else set()
    if len(secret) > _HEAD:
        found |= {Form(text, re.escape(text) + _REST) for text in _written(secret[:_HEAD])}
    elif (form := _in_any_writing(secret)) is not None:
        found.add(form)
    return found


def _in_any_writing(secret: str) -> Form | None:
    """Its letters and digits, and between them whatever the rest was turned into.

    That is for texts that were escaped twice or thrice. A secret with few of them has no such form,
    as other text would match it.
    """
    runs = _RUNS.findall(secret)
    if len(runs) < 2 or sum(map(len, runs)) < 6:
        return None
    between = f"[^\x00\x01\x02]{{1,{_ESCAPED * (len(secret) - sum(map(len, runs)))}}}?"
    return Form(max(runs, key=len), between.join(runs))


def _written(secret: str) -> set[str]:
    found = {secret.replace("\0", _NUL)}
    data = secret.encode("utf-8", "surrogatepass")
    if not _WRITTEN_AS_IT_IS.fullmatch(secret):
        escaped = repr(secret)[1:-1]
        found |= {escaped, escaped.replace("'", "\\'"), repr(escaped)[1:-1], repr(data)[2:-1]}
        found |= {encode_basestring_ascii(secret)[1:-1], encode_basestring(secret)[1:-1]}
        quoted = quote(data, safe="")
        found |= {quoted, quoted.replace("%2F", "/"), quoted.replace("%20", "+")}
        found |= {_PERCENT.sub(lambda part: part[0].lower(), quoted), escape(secret)}
    found |= {data.hex(), *_in_base64(data)}
    return found


def _in_base64(data: bytes) -> Iterable[str]:
    """Wherever it stands in a longer text: what the bytes before and after it do not change."""
    for offset in range(3):
        coded = b64encode(bytes(offset) + data).decode()
        first = (offset * 8 + 5) // 6
        inner = coded[first : (offset + len(data)) * 8 // 6]
        if len(inner) >= 6:
            yield inner
            if not inner.isalnum():
                yield inner.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


def _joined(texts: Sequence[str]) -> str:
    joined = "\0".join(texts)
    if joined.count("\0") != len(texts) - 1:
        joined = "\0".join([text.replace("\0", _NUL) for text in texts])
    try:
        joined.encode()
    except UnicodeEncodeError:  # lone surrogates
        joined = joined.encode("utf-8", "backslashreplace").decode()
    return joined


def _without(joined: str, secrets: Iterable[Form]) -> str:
    # the longest first: what contains another is not to leave a rest
    found = [form for form in secrets if form.text in joined]
    for text, pattern in sorted(found, key=_length, reverse=True):
        joined = re.sub(pattern, HIDDEN, joined) if pattern else joined.replace(text, HIDDEN)
    return joined


def _length(form: Form) -> int:
    return len(form.text)


def _cut(joined: str) -> str:
    if "\x01" not in joined:
        return joined
    return _MARKED.sub(lambda long: long[1][:SHOWN] + "…", joined)


def _assignments(joined: str) -> str:
    """`password=...`, `"token": "..."`: what follows a secret's name in any text."""
    lower = joined.replace("İ", "I").lower()  # the one letter that gets longer in lower case
    starts = sorted({start for word in _ASSIGNED_WORDS for start in _positions(lower, word)})
    done, parts = 0, []
    for start in starts:
        match = _ASSIGNMENT.match(joined, start)
        if start < done or match is None:
            continue
        before = _NAME_BEFORE.search(joined, max(done, start - 40), start)
        name = (before[0] if before else "") + match["name"]
        value = match["value"]
        if name.lower() in _NOT_ASSIGNED or not is_secret_name(name):
            continue
        if len(value) < _SHORTEST or value.lower() in _PLAIN or HIDDEN in value:
            continue
        parts += [joined[done : match.start("value")], HIDDEN]
        done = match.end("value")
    return "".join([*parts, joined[done:]])


def _positions(text: str, word: str) -> Iterable[int]:
    start = text.find(word)
    while start >= 0:
        yield start
        start = text.find(word, start + len(word))


_LITERAL = re.compile(
    r"""(?P<name>\w+)(?P<sign>["']?\]?\s*[:=]\s*[rbfu]{0,2})(["'])(?:(?!\3).){4,}\3""", re.I
)


@lru_cache(maxsize=4096)  # source does not change, and a line passes with each error below it
def _literals(line: str) -> str:
    """A line of source without the literals that are given to a secret's name."""

    def hide(match: re.Match[str]) -> str:
        if not is_secret_name(match["name"]):
            return match[0]
        return f"{match['name']}{match['sign']}{HIDDEN}"

    return _LITERAL.sub(hide, line)
