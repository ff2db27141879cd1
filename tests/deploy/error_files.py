"""What nginx answers itself, in the words and the look of the application.

`python -m tests.deploy.error_files` writes deploy/nginx/errors. A page and a problem for each
status; the stylesheets are those of the microblog, which nginx serves from the same folder.
"""

from pathlib import Path

from quartapp.errors.plain import PlainPage
from quartapp.errors.responses import problem
from quartapp.errors.texts import describe

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "nginx" / "errors"
STYLES = ("pico.classless.min.css", "app.css")
PAGE = PlainPage("Microblog", tuple(f"/microblog-public/style/{name}" for name in STYLES))

AWAY = "Microblog is not available right now"
AWAY_DETAIL = (
    "It is being updated, or has a problem that we are working on. Please try again in a minute. "
    "If you have just sent something, check whether it arrived before you send it again."
)
STATUSES = (413, 429, 502, 503, 504)


def files() -> dict[str, str]:
    """The text of each file, by its name."""
    written = {}
    for status in STATUSES:
        error = describe(status)
        title, detail = (AWAY, AWAY_DETAIL) if status > 500 else (error.title, error.detail)
        written[f"{status}.html"] = PAGE.render(title, detail) + "\n"
        written[f"{status}.json"] = problem(error) + "\n"
    return written


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, "utf-8")
