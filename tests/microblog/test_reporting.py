"""How the microblog uses reporting."""

from pathlib import Path

import quartapp.microblog
from quartapp.flasklike import App
from quartapp.reporting.pipeline import Pipeline

FOLDER = Path(quartapp.microblog.__file__).parent


def test_groups_keep_the_names_that_files_had_before_they_moved(app: App) -> None:
    """An error is counted in the group that an earlier version stored for it."""
    pipeline: Pipeline = app.extensions["reporting"]
    place = pipeline.recorder.places.of(str(FOLDER / "web" / "posts.py"))
    assert place.identity == "quartapp/web/posts.py"
    assert place.name == "quartapp/microblog/web/posts.py"
    assert place.in_app
