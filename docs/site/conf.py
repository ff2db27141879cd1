"""The site that `make docs` builds from the documents, with Sphinx.

The documents are plain Markdown. Which pages there are, and in which order, is read from their
lists of links: the sections of docs/index.md are the sections of the navigation.
"""

import re
from pathlib import Path
from textwrap import indent

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

import quartapp

ROOT = Path(__file__).parents[2]
# In these documents the lists of links are the navigation, at its top and below one of its pages.
INDEXES = ("docs/index", "docs/decisions/README", "docs/reference/README")
LINK = re.compile(r"^- \[[^\]]*\]\(([^)#]+)\.md\)", re.MULTILINE)
# In a docstring: blocks that are shown as they are, and what only reStructuredText knows.
AS_IT_IS = re.compile(r"(?:(?<=\n\n)|\A)((?: {4}.*\n|\n)+|(?:[|].*[|]\n)+)")
MARKUP = re.compile(r"(?<=\w)_(?!\w)|[*](?! )")
EXTERNAL = re.compile(
    r"""<(?:link|script|img|iframe|source)\b[^>]*?\b(?:href|src)=["'](?:https?:)?//[^"']*"""
)

project = "quartapp"
release = quartapp.__version__
html_title = f"quartapp {release}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/**/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "quartapp/flasklike/README.md",
    "benchmarks/results/growth.md",
]
exclude_patterns = [".*", "instance", "logs", "build", "site", "**/.venv"]

highlight_language = "none"  # a block without a language is a drawing
myst_heading_anchors = 4
myst_links_external_new_tab = False

default_role = "py:obj"  # `name` in a docstring
autodoc_inherit_docstrings = False  # what Quart says of a method is on Quart's site
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": False}
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_navigation)
    app.connect("autodoc-skip-member", skip_others)
    app.connect("autodoc-process-docstring", translate_docstring)
    app.connect("build-finished", finish)


def add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """Append the hidden tables of contents that the page's lists of links stand for."""
    if name not in INDEXES:
        return
    text = source[0]
    for section in re.split(r"^## ", text, flags=re.MULTILINE):
        if links := LINK.findall(section):
            caption = section.partition("\n")[0] if name == root_doc else ""
            source[0] += "\n\n```{toctree}\n:hidden:\n"
            source[0] += f":caption: {caption}\n\n" if caption else "\n"
            source[0] += "\n".join(links) + "\n```\n"


def skip_others(
    app: Sphinx, what: str, name: str, item: object, skip: bool, options: object
) -> bool | None:
    """Leave out what `quartapp.flasklike` only passes on from Quart, Werkzeug and others."""
    module = getattr(item, "__module__", None) or ""
    return True if module and not module.startswith("quartapp") else None


def translate_docstring(
    app: Sphinx, what: str, name: str, item: object, options: object, lines: list[str]
) -> None:
    """Make reStructuredText of a docstring, which is Markdown: code, tables, and plain words."""
    blocks = AS_IT_IS.split("\n".join([*lines, ""]))
    for position, block in enumerate(blocks):
        if position % 2 and block.strip():
            blocks[position] = "::\n\n" + indent(block, "    ") + "\n"
        else:
            texts = block.split("`")
            texts[::2] = [MARKUP.sub(r"\\\g<0>", text) for text in texts[::2]]
            blocks[position] = "`".join(texts)
    lines[:] = "".join(blocks).splitlines()


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Lead from the top folder to the first page, and refuse what loads anything from elsewhere."""
    if exception or app.builder.name != "html":
        return
    folder = Path(app.outdir)
    page = '<!doctype html><meta charset="utf-8"><title>quartapp</title>'
    page += '<meta http-equiv="refresh" content="0; url=docs/index.html">'
    page += '<a href="docs/index.html">The documentation of quartapp</a>\n'
    (folder / "index.html").write_text(page, "utf-8")
    for path in folder.rglob("*.html"):
        if found := EXTERNAL.search(path.read_text("utf-8")):
            raise ExtensionError(f"{path.relative_to(folder)} loads from elsewhere: {found[0]}")
