"""The last-resort page: it looks like the site, without its templates, database or session."""

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class PlainPage:
    """The parts of a site that this page uses: its name, and the paths of its stylesheets."""

    name: str = ""
    stylesheets: tuple[str, ...] = ()

    def render(self, title: str, detail: str, more: str = "", root: str = "") -> str:
        """The page as HTML. `more` is HTML after the sentence `detail`; `root` is the root path."""
        root = escape(root)
        links = "".join(
            f'<link rel="stylesheet" href="{root}{escape(path)}">' for path in self.stylesheets
        )
        home = (
            f'<ul><li class="brand"><a href="{root}/">{escape(self.name or "Home")}</a></li></ul>'
        )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{escape(title)}</title>{links}</head>"
            f'<body><header><nav aria-label="Main">{home}</nav></header>'
            f'<main><section class="failure"><h1>{escape(title)}</h1><p>{escape(detail)}</p>{more}'
            "</section></main></body></html>"
        )
