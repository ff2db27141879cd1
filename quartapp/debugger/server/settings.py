"""The setting of the debugger. It has an effect where the debugger is: never in production."""

from pydantic import field_validator

from quartapp.debugger.page.editor import editor_pattern
from quartapp.settings import PartSettings


class DebuggerSettings(PartSettings):
    """The key of `app.config` that the debugger reads."""

    editor_url: str = ""
    """The editor that lines of source link to: a name, such as `vscode`, or an address with
    `{path}` and `{line}`. Without it there are no links."""

    _check_editor_url = field_validator("editor_url")(editor_pattern)
