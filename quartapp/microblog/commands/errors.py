"""`quart --app quartapp errors ...`, for this application."""

from typing import cast

from quartapp.microblog.app import create_app
from quartapp.microblog.config import ToolSettings, load_settings
from quartapp.reporting.commands import error_commands
from quartapp.reporting.pipeline import Pipeline


def _open_pipeline() -> Pipeline:
    return cast(Pipeline, create_app(load_settings(ToolSettings)).extensions["reporting"])


errors = error_commands(_open_pipeline)
