"""The page that needs nothing: no template, database, session, script or other file."""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from html import escape

from quartapp.errors.texts import ClientError

STYLE = (
    "html{background:Canvas;color:CanvasText}"
    "body{margin:0 auto;max-width:36rem;padding:12vh 1.25rem 3rem;"
    "font:1.0625rem/1.6 system-ui,sans-serif;overflow-wrap:break-word}"
    "h1{margin:0 0 1rem;font-size:1.75rem;line-height:1.25}"
    "ul{list-style:none;padding:0}"
    "strong{font-family:ui-monospace,monospace}"
    "button{padding:.5rem 1rem;font:inherit}"
    "textarea{box-sizing:border-box;width:100%;font:inherit}"
)
"""What the page looks like. Its colours are the browser's own for light and dark."""

STYLE_HASH = f"'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
"""The source of `STYLE` in a Content-Security-Policy: style-src."""

_POLICY = "default-src 'none'; style-src {}; form-action 'self'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class PlainPage:
    """The parts of a site that this page uses: its name, and the paths of its stylesheets.

    Without stylesheets the page has a style inside. Where a policy forbids that, it is as readable,
    in the font of the browser.
    """

    name: str = ""
    stylesheets: tuple[str, ...] = ()

    @property
    def policy(self) -> str:
        """The Content-Security-Policy that allows this page and nothing else."""
        return _POLICY.format("'self'" if self.stylesheets else STYLE_HASH)

    def render(self, title: str, detail: str, more: str = "", root: str = "") -> str:
        """The page as HTML. `more` is HTML after the sentence `detail`; `root` is the root path."""
        root = escape(root)
        style = "".join(
            f'<link rel="stylesheet" href="{root}{escape(path)}">' for path in self.stylesheets
        )
        header = (
            f'<header><nav aria-label="Main"><ul><li class="brand"><a href="{root}/">'
            f"{escape(self.name)}</a></li></ul></nav></header>"
        )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{escape(title)}</title>{style or f'<style>{STYLE}</style>'}</head>"
            f"<body>{header if self.name else ''}"
            f'<main><section class="failure"><h1>{escape(title)}</h1><p>{escape(detail)}</p>{more}'
            "</section></main></body></html>"
        )


def notes(error: ClientError, reference: str | None) -> str:
    """Whom to ask about an error, and by which reference they find it: HTML for a plain page."""
    contact = _link(error.contact) if error.contact else ""
    if reference:
        given = f'<strong class="reference">{escape(reference)}</strong>'
        if contact:
            return (
                f"<p>If you tell us about it ({contact}), please name this reference: {given}</p>"
            )
        return f"<p>Reference: {given}</p>"
    return f"<p>If it happens again, please tell us: {contact}</p>" if contact else ""


def _link(contact: str) -> str:
    address = contact if "@" not in contact or "://" in contact else f"mailto:{contact}"
    return f'<a href="{escape(address)}">{escape(contact)}</a>'
