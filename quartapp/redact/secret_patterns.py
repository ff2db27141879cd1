"""Recognising secrets by what they look like, whatever their name.

Each pattern consumes everything that it has looked at, secret or not. One that gives up and starts
again in the middle would take quadratic time on a text that a client can choose.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from quartapp.redact.secret_names import ADDRESS, EVERYTHING, HIDDEN, hides, is_secret_name

_SHORTEST = 4


class SecretPattern(NamedTuple):
    """What looks like a secret: if any of `signs` is in the text in lower case, matches of `regex`
    are replaced."""

    name: str
    signs: tuple[str, ...]
    regex: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]


def _pattern(
    name: str, signs: str, regex: str, replacement: str | Callable[[re.Match[str]], str]
) -> SecretPattern:
    return SecretPattern(name, tuple(signs.split("|")), re.compile(regex, re.I), replacement)


_TO_LINE_END = r"(?:(?!\\n)[^\n\x00\x01\x02])*"


def _hide_jwt(match: re.Match[str]) -> str:
    header, _, rest = match[0].partition(".")
    return HIDDEN if len(header) > 8 and len(rest) >= 4 else match[0]


def _hide_userinfo(match: re.Match[str]) -> str:
    before, _, rest = match[1].rpartition("@")
    # a slash without a colon before it: the @ belongs to the path
    if not before or (before.find("/") >= 0 and ":" not in before.partition("/")[0]):
        return match[0]
    return f"://{HIDDEN}@{rest}"


def _hide_vendors(match: re.Match[str]) -> str:
    # Words and identifiers (npm_config_registry) have no digits.
    return (
        match[0]
        if match["name"] and not _DIGIT.search(match[0])
        else f"{match['at'] or ''}{HIDDEN}"
    )


_DIGIT = re.compile(r"\d")

# How the tokens of vendors begin. Each sign costs a search of every text, so these are the frequent
# ones and not all of a scanner's hundreds.
_VENDORS = SecretPattern(
    "vendor",
    (
        *("akia", "aiza", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "npm_", "hf_", "xox"),
        *("k_live_", "sk-", "sg.", "hooks"),
    ),
    re.compile(
        r"""(?P<at>hooks\.slack\.com/\w+/|/api/webhooks/\d+/)[\w/-]{16,}
        |(?<![A-Za-z0-9_-])(?P<name>AKIA|AIza|gh[pos]_|github_pat_|glpat-|npm_|hf_|xox[a-z]-
            |[rs]k_live_|sk-|SG\.)[\w-]{16,}(?:\.[\w-]{16,})?""",
        re.X,
    ),
    _hide_vendors,
)

SECRET_PATTERNS: tuple[SecretPattern, ...] = (
    _VENDORS,
    _pattern(
        "element",
        "</",
        r"<((?:[\w-]{1,40}:)?[\w-]{1,60})((?:\s[^<>\n\x00-\x02]{0,100})?>)[^<\x00-\x02]{4,4000}(?=</)",
        lambda match: f"<{match[1]}{match[2]}{HIDDEN}" if is_secret_name(match[1]) else match[0],
    ),
    # Names that are secret in an address alone: `key=lambda` is none.
    _pattern(
        "query",
        "key=|sig=|code=",
        r"([?&;](?:(?:key|sig)=(?=[^\s&;#]{4})|code=(?=[^\s&;#]{12})))[^\s&;#'\"<>\x00-\x02]+",
        rf"\g<1>{HIDDEN}",
    ),
    _pattern("jwt", "eyj", r"eyJ[\w-]*(?:\.[\w-]*)*", _hide_jwt),
    _pattern("bearer", "bearer", r"(bearer\s+)[\w.~+/=-]{4,}", rf"\g<1>{HIDDEN}"),
    _pattern("basic", "basic", r"([:=]\s*['\"]?basic\s+)[\w+/=-]{4,}", rf"\g<1>{HIDDEN}"),
    _pattern(
        "pair",
        "cookie|authorization|passw|secret|token|api-key|api_key",
        r"([(\[]b?['\"][\w-]*(?:cookie|authorization|passw|secret|token|api[-_]key)[\w-]*['\"],\s*b?)"
        r"(['\"])(?:\\[^\n\x00\x01\x02]|(?!\2)[^\\\n\x00\x01\x02]){4,4000}\2(?=[)\]])",
        rf"\g<1>{HIDDEN}",
    ),
    _pattern(
        "option",
        "--",
        r"((?<![\w-])--[\w-]*(?:passw|secret|token|key)[\w-]*(?:['\"],\s*['\"]|\s+))"
        r"[^\s'\"\x00\x01\x02-][^\s'\"\x00\x01\x02]{3,}",
        rf"\g<1>{HIDDEN}",
    ),
    # ALTER ROLE susan PASSWORD 'abcd1234'; the password 'abcd1234' is too short
    _pattern(
        "quoted",
        "passw",
        r"(passw(?:or)?d\s+)(['\"])(?:\\[^\n\x00\x01\x02]|(?!\2)[^\\\n\x00\x01\x02]){4,}\2",
        rf"\g<1>{HIDDEN}",
    ),
    _pattern(
        "pem",
        "-----begin",
        r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)"
        r"[^\x00\x02]*?(?:-----END [A-Z ]*-----|(?=[\x00\x02]|$))",
        rf"\g<1>{HIDDEN}",
    ),
    _pattern("userinfo", "://", r"://([^\s'\"<>\x00]*)", _hide_userinfo),
    # PostgreSQL's text repeats the row: Key (email)=(susan@example.com) already exists.
    _pattern(
        "driver detail",
        "detail: |hint: |context: ",
        rf"(?:\n|\\n)?\b(?:DETAIL|HINT|CONTEXT): {_TO_LINE_END}",
        "",
    ),
    _pattern(
        "parameters",
        "[parameters: |query argument $",
        r"(\[parameters: |query argument \$\d+: )[^\n\x00\x01\x02]*",
        rf"\g<1>{HIDDEN}",
    ),
    _pattern(
        "header",
        "authorization|cookie",
        rf"\b((?:proxy-)?authorization|(?:set-)?cookie)(['\"]?\s*:\s*)(?!\s|\[hidden){_TO_LINE_END}",
        rf"\g<1>\g<2>{HIDDEN}",
    ),
)

_ASSIGNED_WORDS = (
    "pass",
    "secret",
    "token",
    "key",
    "session",
    "csrf",
    "sid",
    "signature",
    "auth",
    "cookie",
    "cred",
    "jwt",
    "otp",
    "pin",
    "dsn",
    "cvv",
    "ssn",
    "pw",
    "psw",
    "seed",
    "kennwort",
    "conn_str",
    "recovery_code",
    "mail",
)
_PROSE = re.compile(
    r"(?:.*[_-])?(?:auth|pass|cookies?|cred(?:ential)?s?|otp|pin|seed|signature)", re.I
)
"""Words after which a colon may begin a sentence: they are names only if quoted or before a `=`."""
_NAME = re.compile(
    r"""([\w-]*)(\\*['"]?\s*(?:[=-]>|=|:|\N{RIGHTWARDS ARROW})\s*|\s+(?:is|was|ist|lautet)\s+)?"""
)
_SIGNS = frozenset("=:\\'\"")
"""With which a sign begins that is none of prose."""
_IN_PROSE = re.compile(r"[\d!@#$%^&*+=~]|\A['\"]")
"""What a word has that is a secret after `password is`, or `token ->`."""
# A quote after backslashes may be inside of the text, however often it was escaped. The end of a
# text whose own quotes were escaped, \"abc\", has as many backslashes as its beginning.
_VALUE = re.compile(
    r"""b?"(?:\\+[^\\\n\x00]|[^"\\\n\x00])*"?|b?'(?:\\+[^\\\n\x00]|[^'\\\n\x00])*'?
    |b?(\\+)(["'])(?:(?!\2)[^\\\n\x00]|(?!\1\2)\\+[^\\\n\x00])*(?:\1\2)?
    |[^\s"'\\,;&(){}<>\[\]\x00-\x02?$:%][^\s"'\\,;&)}>\]\x00-\x02]*""",
    re.X,
)
_LONGEST_WORD = 400
_ADDRESS = re.compile(
    r"""\\*['"]?[^\s"'\\,;:&(){}<>\[\]\x00-\x02@=?]{1,64}@
    [^\s"'\\,;&(){}<>\[\]\x00-\x02]{1,255}\\*['"]?""",
    re.X,
)
_NAME_IN_REPR = re.compile(r"""([\w.-]*)(['"]\s*[=:,]\s*|\s*[=:]\s*)?""")
_VALUE_IN_REPR = re.compile(
    r"""b?'(?:\\.|[^'\\])*'?|b?"(?:\\.|[^"\\])*"?
    |(?:(?:bearer|basic|token)\s+)?[^\s,)}\]>&'"]+""",
    re.I | re.X,
)
_NAME_BEFORE = re.compile(r"[\w-]*\Z")
_NOT_ASSIGNED = frozenset(("key", "keys", "tokens", "session", "sessions"))
_COOKIES = {("session", "="), ("sessions", "=")}
_PLAIN = frozenset(("none", "null", "true", "false", "''", '""'))


def assignments(joined: str, *, in_repr: bool = False) -> str:
    """Hide what follows a secret's name in a text, as in `password=...` and `"token": "..."`.

    In the repr of an object all such values are hidden, including short ones and the second of a
    pair (`('token', 'x')`). Other texts may be prose: `the password: none`.
    """
    lower = joined.replace("İ", "I").lower()  # the one letter that gets longer in lower case
    looked_at, done, parts = 0, 0, []
    for start in sorted(_positions(lower, _ASSIGNED_WORDS)):
        if start < looked_at:
            continue
        value, looked_at = _assigned(joined, start, done, in_repr)
        if value is not None:
            parts += [joined[done : value.start()], HIDDEN]
            done = looked_at = value.end()
    return "".join([*parts, joined[done:]])


def _assigned(
    joined: str, start: int, done: int, in_repr: bool
) -> tuple[re.Match[str] | None, int]:
    """The value assigned to the name around `start`, if it is a secret, and the name's end."""
    found = (_NAME_IN_REPR if in_repr else _NAME).match(joined, start)
    assert found is not None
    end, sign = found.end(1), found[2]
    if sign is None:
        return None, end
    before = _NAME_BEFORE.search(joined, max(done, start - 40), start)
    name = (before[0] if before else "") + joined[start:end]
    hidden = hides(name)
    if not hidden:
        return None, end
    if in_repr:
        is_secret = hidden is EVERYTHING
        return _VALUE_IN_REPR.match(joined, found.end()) if is_secret else None, end
    if name.lower() in _NOT_ASSIGNED and (name, sign) not in _COOKIES:
        return None, end
    if sign[0] == ":" and _PROSE.fullmatch(name):
        return None, end
    if name.endswith(("Error", "Exception", "Warning")):  # KeyError: 'username'
        return None, end
    if hidden == ADDRESS:
        return _ADDRESS.match(joined, found.end()), end
    is_weak = "->" in sign or sign.lstrip()[0] not in _SIGNS
    # What is looked at and left is bounded, because the search goes on inside of it.
    limit = found.end() + _LONGEST_WORD if is_weak else len(joined)
    value = _VALUE.match(joined, found.end(), limit)
    if value is None or len(value[0]) < _SHORTEST or HIDDEN in value[0]:
        return None, end
    if is_weak and not _IN_PROSE.search(value[0]):
        return None, end
    return (None if value[0].lower() in _PLAIN else value), end


def _positions(text: str, words: Iterable[str]) -> list[int]:
    found: list[int] = []
    find = text.find
    for word in words:
        start = find(word)
        while start >= 0:
            found.append(start)
            start = find(word, start + len(word))
    return found


_LITERAL = re.compile(
    r"""(?P<name>\w+)
    (?P<sign>["']?\]?\s*(?:[:=!]?=|:|:\s*[\w.]+(?:\s*\|\s*\w+)*\s*=)\s*[rbfu]{0,2}|\([rbfu]{0,2})
    (["'])(?:\\.|(?!\3)[^\\]){4,}\3""",
    re.I | re.X,
)
_TAKES_SECRET = re.compile("passw|secret", re.I)


@lru_cache(maxsize=4096)  # source does not change, and a line is scrubbed for each error below it
def literals(line: str) -> str:
    """A line of source without the literals that are assigned to a secret's name."""

    def hide(match: re.Match[str]) -> str:
        is_call = match["sign"][0] == "("
        if not (_TAKES_SECRET.search if is_call else is_secret_name)(match["name"]):
            return match[0]
        return f"{match['name']}{match['sign']}{HIDDEN}"

    return _LITERAL.sub(hide, line)
