"""The source of templates that are in no file: strings, and what a loader makes.

Jinja names all of them "<template>" and keeps no source. Here each gets a name that depends on its
source, under which Python's `linecache` finds the lines, as it does for a file: for the page, and
for the tracebacks on the terminal.
"""

import linecache
from collections import OrderedDict
from functools import wraps
from hashlib import sha256
from typing import Any

from jinja2 import Environment

MAX_SOURCES = 100
"""A program that makes a template for each request would fill the memory."""

MAX_SOURCE = 200_000

_kept: OrderedDict[str, None] = OrderedDict()
_MARK = "keeps_sources"


def keep_template_sources() -> None:
    """Keep the sources of templates that any environment compiles from now on.

    It changes Jinja's `Environment.compile` in this process: an environment of the application may
    not exist yet, and there may be several. A second call does nothing.
    """
    original: Any = Environment.compile
    if hasattr(original, _MARK):
        return

    @wraps(original)
    def compile_and_keep(
        self: Environment,
        source: Any,
        name: str | None = None,
        filename: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if filename is None and isinstance(source, str):
            filename = _keep(source, name)
        return original(self, source, name, filename, *args, **kwargs)

    setattr(compile_and_keep, _MARK, True)
    Environment.compile = compile_and_keep  # type: ignore[method-assign]


def _keep(source: str, name: str | None) -> str:
    digest = sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    # In angle brackets, as then no file is looked for when the source is no longer kept.
    label = f"<template {name or 'string'} {digest}>"
    if len(source) <= MAX_SOURCE:
        lines = source.splitlines(keepends=True)
        # Without a time of modification, linecache keeps the entry.
        linecache.cache[label] = (len(source), None, lines, label)
        _kept[label] = None
        _kept.move_to_end(label)
        while len(_kept) > MAX_SOURCES:
            linecache.cache.pop(_kept.popitem(last=False)[0], None)
    return label
