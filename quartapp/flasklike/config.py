"""The configuration, and what FLASK_* variables of the environment say beside QUART_*."""

import json
import os
from collections.abc import Callable
from typing import Any

import click
from quart.config import Config as QuartConfig
from quart.config import ConfigAttribute as ConfigAttribute

PREFIXES = ("FLASK", "QUART")
"""Of variables of the environment. Where both set something, the last wins."""


class Config(QuartConfig):
    """A configuration that reads the variables of a Flask application and of a Quart one."""

    def from_prefixed_env(
        self, prefix: str | None = None, *, loads: Callable[[str], Any] = json.loads
    ) -> bool:
        """Set what variables of the environment whose names begin with *prefix* and _ say.

        Without *prefix* FLASK_* are read, then QUART_*, which win where both set the same key.
        """
        for each in PREFIXES if prefix is None else (prefix,):
            super().from_prefixed_env(each, loads=loads)
        return True


def get_debug_flag() -> bool:
    """Whether QUART_DEBUG asks for debug mode, or FLASK_DEBUG where there is no QUART_DEBUG."""
    values = [os.environ.get(f"{prefix}_DEBUG") for prefix in PREFIXES]  # noqa: TID251
    value = values[-1] or values[0]
    return bool(value and value.lower() not in {"0", "false", "no"})


def share_debug_flag() -> None:
    """Let the `quart` command, if it is loading the application, see FLASK_DEBUG too.

    It sets `debug` again afterwards, and reads only QUART_DEBUG.
    """
    if get_debug_flag() and click.get_current_context(silent=True) is not None:
        os.environ.setdefault("QUART_DEBUG", "1")  # noqa: TID251  # as its option --debug does
