"""The runner of commands in tests."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

from quart.testing import QuartCliRunner

from quartapp.flasklike._upstream import running_loop


class CliRunner(QuartCliRunner):
    """Runs a command of the application in an isolated environment, as click's runner.

    In an ``async def`` test the command runs in a thread, with an event loop of its own, while the
    loop of the test waits.
    """

    def invoke(  # type: ignore[override]  # as Quart's
        self, cli: Any = None, args: Any = None, **kwargs: Any
    ) -> Any:
        """Run *args* with *cli*, by default the application's commands."""
        run = partial(super().invoke, cli, args, **kwargs)
        if running_loop() is None:
            return run()
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(copy_context().run, run).result()
