"""Production has no debugger, and says how to get it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each starts processes

ROOT = Path(__file__).parents[2]
DEBUGGERS = ("quartapp.debugger", "quartapp.breakit", "quartapp.mail.mailbox", "werkzeug.debug")

REQUEST = """
import asyncio, sys
from quartapp import create_app, serving
from quartapp.microblog.config import Settings
settings = Settings(environment="development", debug={debug}, instance_path={folder!r},
                    log_dir={folder!r}, _env_file=None)
app = create_app(settings)

@app.get("/fail")
async def fail():
    raise RuntimeError("here")

async def main():
    async with app.test_app() as running:
        try:
            await running.test_client().get("/fail")
        except RuntimeError:
            pass

asyncio.run(main())
print(app.debugger, *[m for m in sys.modules if m.startswith({debuggers!r})])
"""


@pytest.mark.parametrize("debug", [False, True])
def test_serving_and_failing_import_no_debugger(debug: bool, tmp_path: Path) -> None:
    code = REQUEST.format(debug=debug, folder=str(tmp_path), debuggers=DEBUGGERS)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert (result.stdout.strip(), result.returncode) == ("None", 0), result.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"FLASK_DEBUG": "1"}, "FLASK_DEBUG has no effect"),
        ({"QUART_DEBUG": "true"}, "QUART_DEBUG has no effect"),
        ({"FLASK_DEBUG": "0", "QUART_DEBUG": "no"}, None),
    ],
)
def test_a_production_server_says_where_the_debugger_is(
    variables: dict[str, str], said: str | None, tmp_path: Path
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "ENVIRONMENT"}
    environment |= {"PORT": "0", "INSTANCE_PATH": str(tmp_path), "LOG_DIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "--local"],
        env=environment | variables,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    lines = []
    with process:
        for line in process.stderr:
            lines.append(line)
            if "Running on" in line:
                process.send_signal(signal.SIGTERM)
    text = "".join(lines)

    assert "Running on" in text, text
    if said is None:
        assert "has no effect" not in text
    else:
        assert re.search(f"quartapp: {said}: .*'make dev'", text)
