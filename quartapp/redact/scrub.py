"""Removing secrets from everything that is kept or sent.

All texts of a report are scrubbed as one: joined by NUL, searched, and split again. One search
through the whole costs less than a search through each of two hundred texts.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import NamedTuple
from urllib.parse import quote

from quartapp.redact import secret_patterns
from quartapp.redact.numbers import hide_numbers
from quartapp.redact.secret_names import BARE_WORDS, HIDDEN
from quartapp.redact.secret_patterns import SECRET_PATTERNS, SecretPattern

LONG = "\x01{}\x02"
"""Marks a text that is longer than what is shown of it: the scrubber cuts it."""

BYTES = "surrogateescape"
"""How bytes become the text of a secret and back again: a key need not be UTF-8."""

SHOWN = 200
_SHORTEST = 4
_LONGEST = 1000
_HEAD = 64
_NUL = "\\x00"
_WRITTEN_AS_IT_IS = re.compile("[A-Za-z0-9_.~-]+")
_RUNS = re.compile("[A-Za-z0-9]{3,}")
_ALPHANUMERIC = re.compile("[A-Za-z0-9]+")
_PERCENT = re.compile("%[0-9A-F]{2}")
_FEW_WORDS = 500
_ESCAPED = 16
"""The length of one character that was escaped twice."""
_MARKED = re.compile("\x01([^\x00\x01\x02]*)\x02?")
_REST = "[^\\s\"'\x00\x01\x02]*"


class Scrubber:
    """Removes secrets from texts.

    `known` values are hidden wherever they are, raw, escaped, quoted or in base64. So is what
    matches one of the patterns `only`, or follows a secret's name (`password=...`).
    """

    def __init__(
        self, known: Iterable[str] = (), *, only: Sequence[SecretPattern] = SECRET_PATTERNS
    ) -> None:
        self._patterns = tuple(only)
        self._known: frozenset[Form] = frozenset()
        self.know(known)

    def know(self, secrets: Iterable[str]) -> None:
        """Hide these values too, from now on."""
        self._known |= {form for secret in secrets for form in forms(secret)}

    def text(self, text: str) -> str:
        """One text without secrets; for log files and terminals too. Never raises."""
        return self.clean([text])[0]

    def clean(self, texts: Sequence[str], *, secrets: Iterable[str] = ()) -> list[str]:
        """The texts without the secrets; valid Unicode, no NUL. See `clean_with_source`."""
        return self.clean_with_source(texts, (), secrets=secrets)[0]

    def clean_with_source(
        self, texts: Sequence[str], source: Sequence[str], *, secrets: Iterable[str] = ()
    ) -> tuple[list[str], list[str]]:
        """The texts and the lines of source, without the secrets; valid Unicode, no NUL.

        Marked texts (`LONG`) are cut to 200 characters. Lines of source keep what follows a
        secret's name, unless it is a literal: `password = form.password.data` is no secret.
        """
        joined, joined_source = _joined(texts), _joined(source)
        found = set(self._known)
        both = f"{joined}\0{joined_source}"
        longest = _longest_word(both)
        for secret in secrets:
            if _may_stand_in(both, secret, longest):
                found.update(forms(secret))
        patterns = self._patterns_that_may_match(both)
        if texts:
            joined = _without_patterns(_without(joined, found), patterns)
            joined = hide_numbers(secret_patterns.assignments(joined))
            texts = _cut_marked(joined).split("\0")
        if source:
            joined = _without_patterns(_without(joined_source, found), patterns)
            source = [secret_patterns.literals(line) for line in joined.split("\0")]
        return list(texts), list(source)

    def _patterns_that_may_match(self, text: str) -> list[SecretPattern]:
        # Once for texts and source: to look for the signs is most of what patterns cost.
        lower = text.lower()
        return [each for each in self._patterns if any(map(lower.__contains__, each.signs))]


def _without_patterns(joined: str, patterns: Iterable[SecretPattern]) -> str:
    for pattern in patterns:
        joined = pattern.regex.sub(pattern.replacement, joined)
    return joined


def window(shown: int) -> int:
    """How many characters have to be scrubbed of a text that will be cut to `shown`, so that a
    secret at the cut is found whole."""
    return shown + 800


def cut(text: str, limit: int) -> str:
    """The first `limit` characters of a text that is scrubbed."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Form(NamedTuple):
    """One way to write a secret: if `text` is found, it or what matches `pattern` is hidden."""

    text: str
    pattern: str = ""


def forms(secret: str) -> set[Form]:
    """The forms in which a secret can appear in texts, including itself.

    A long secret also has its beginning, which may remain of a text that was cut. There are none if
    it is too short to be distinguished from other text, or only the name of a secret.
    """
    if len(secret) < _SHORTEST or secret.lower() in BARE_WORDS:
        return set()
    found = {Form(text) for text in _written(secret)} if len(secret) <= _LONGEST else set()
    if len(secret) > _HEAD:
        found |= {Form(text, re.escape(text) + _REST) for text in _written(secret[:_HEAD])}
    elif (form := _in_any_writing(secret)) is not None:
        found.add(form)
    return found


def _may_stand_in(joined: str, secret: str, longest_word: int) -> bool:
    """False if none of the forms of a secret can be in the text, as is nearly always the case. It
    costs a tenth of making the forms.

    Escaping and quoting keep runs of letters and digits, so the longest run of `pass word!23`,
    which is `pass` or `word`, is in each of these forms. The other forms encode bytes, and begin
    with the encoded beginning.
    """
    head = secret[:_HEAD]
    if max(_ALPHANUMERIC.findall(head), key=len, default="") in joined:
        return True
    data = _as_bytes(head)
    if longest_word < len(data) * 4 // 3 - 1:  # the length of base64; hex is longer
        return False
    return data.hex() in joined or any(form in joined for form in _inside_base64(data))


def _longest_word(joined: str) -> int:
    """At least the length of the longest word. Long texts are not split into words, which would
    cost more than to search them for all forms."""
    if len(joined) > _FEW_WORDS:
        return len(joined)
    return max(map(len, joined.replace("\0", " ").split()), default=0)


def _in_any_writing(secret: str) -> Form | None:
    r"""A pattern of the secret's runs of letters and digits, with anything in the gaps between
    them.

    For texts that were escaped more than once: JSON within JSON has `abc\\\"def` for `abc"def`. The
    pattern is `abc`, then up to 16 characters for each one in the gap, then `def`. A secret with
    fewer than two runs has no such form, as other text would match it.

    A gap ends where the next run is first found (an atomic group). With backtracking, the time
    would grow exponentially with the number of gaps.
    """
    runs = list(_RUNS.finditer(secret))
    if len(runs) < 2:
        return None
    pattern = runs[0][0]
    for one, other in pairwise(runs):
        longest = _ESCAPED * (other.start() - one.end())
        pattern += f"(?>[^\x00\x01\x02]{{1,{longest}}}?{other[0]})"
    return Form(max((run[0] for run in runs), key=len), pattern)


def _written(secret: str) -> set[str]:
    found = {secret.replace("\0", _NUL)}
    data = _as_bytes(secret)
    if not _WRITTEN_AS_IT_IS.fullmatch(secret):
        escaped = repr(secret)[1:-1]
        found |= {escaped, escaped.replace("'", "\\'"), repr(escaped)[1:-1], repr(data)[2:-1]}
        found |= {encode_basestring_ascii(secret)[1:-1], encode_basestring(secret)[1:-1]}
        quoted = quote(data, safe="")
        found |= {quoted, quoted.replace("%2F", "/"), quoted.replace("%20", "+")}
        found |= {_PERCENT.sub(lambda part: part[0].lower(), quoted), escape(secret)}
    found |= {data.hex(), *_in_base64(data)}
    return found


def _as_bytes(secret: str) -> bytes:
    try:
        return secret.encode("utf-8", BYTES)
    except UnicodeEncodeError:
        return secret.encode("utf-8", "surrogatepass")


def _in_base64(data: bytes) -> Iterable[str]:
    """The secret in base64: alone, and as a part of longer data that is in base64."""
    coded = b64encode(data).decode()
    if len(coded) >= 8:
        yield coded.rstrip("=")
    for inner in _inside_base64(data):
        if len(inner) >= 6:
            yield inner


def _inside_base64(data: bytes) -> Iterable[str]:
    """The characters that the bytes before and after `data` do not change, for each alignment.

    Base64 writes 3 bytes as 4 characters of 6 bits. `key` alone is `a2V5`. After one byte, as in
    `xkey`, it is `eGtleQ==`: `e` is a part of the x, `G` of x and k, and `Q` would change with a
    byte that follows, so `tle` is what can be searched for. After three bytes all repeats.
    """
    for offset in range(3):
        first = (offset * 8 + 5) // 6
        inner = b64encode(bytes(offset) + data).decode()[first : (offset + len(data)) * 8 // 6]
        yield inner
        if not inner.isalnum():
            yield inner.replace("+", "-").replace("/", "_")


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
    # the longest first: hiding a shorter secret inside a longer one would leave the rest of it
    found = [form for form in secrets if form.text in joined]
    for text, pattern in sorted(found, key=_length, reverse=True):
        joined = re.sub(pattern, HIDDEN, joined) if pattern else joined.replace(text, HIDDEN)
    return joined


def _length(form: Form) -> int:
    return len(form.text)


def _cut_marked(joined: str) -> str:
    if "\x01" not in joined:
        return joined
    return _MARKED.sub(lambda long: long[1][:SHOWN] + "…", joined)
