"""Texts made safe for the lines of a mail."""

import re
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address

_LINE = 120
# C0 and C1 except tab and line feed, separators that end a line, marks that change the reading
# direction or are invisible, lone surrogates
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)

_BEFORE_AT = re.compile(r"[^\s<>@:;,()\[\]]{1,64}(?=@)")
_NO_ADDRESS = re.compile(r"[\s<>,;:\x00-\x1f\x7f]|^@|@$")


def plain(text: str) -> str:
    """A text of several lines without invisible characters and changes of the reading direction."""
    return _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str, limit: int = _LINE) -> str:
    """A text for a header: one line, without encoded words that mail programs would decode."""
    text = " ".join(plain(text[: limit * 4]).split()).replace("=?", "= ?")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def ascii_address(address: str) -> str | None:
    """The address as servers without SMTPUTF8 accept it: its domain in punycode.

    None if there is no such form: the part before the @ cannot be encoded.
    """
    local, _, domain = address.rpartition("@")
    try:
        written = f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"
        if not local.isascii() or _NO_ADDRESS.search(written):
            return None
        Address(addr_spec=written)
    except (UnicodeError, ValueError, IndexError, HeaderParseError):  # no address, or half of one
        return None
    return written


def without_names(text: str) -> str:
    """A text with only the domains of its mail addresses: the log is not about people."""
    return _BEFORE_AT.sub("[hidden]", text)


def moment(time: float) -> str:
    """A time for people to read: to the second, in UTC."""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "unknown"
