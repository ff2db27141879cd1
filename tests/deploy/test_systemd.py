"""The units of deploy/systemd, judged by systemd's own tools: systemd is not process 1 in tests."""

import configparser
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from quartapp.microblog.config import Settings
from quartapp.serving.server import EXIT_MISCONFIGURED
from tests.deploy.namespaces import run_in_namespaces

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT = FOLDER / "microblog.service"
SOCKET = FOLDER / "microblog.socket"
BACKUP = FOLDER / "microblog-backup.service"
TIMER = FOLDER / "microblog-backup.timer"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("systemd-analyze"),
]


def service(section: str = "Service") -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    parser.read(UNIT, "utf-8")
    return parser[section]


def test_systemd_accepts_the_units() -> None:
    said = run_in_namespaces(
        "mount -t tmpfs none /srv && mkdir -p /srv/microblog/.venv/bin && "
        "ln -s /bin/true /srv/microblog/.venv/bin/python && "
        "ln -s /bin/true /srv/microblog/.venv/bin/quart && "
        "ln -s /bin/true /srv/microblog/.venv/bin/quartapp && "
        "exec systemd-analyze verify --man=no --recursive-errors=no "
        f"{UNIT} {SOCKET} {BACKUP} {TIMER}"
    )
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("unit", [UNIT, BACKUP], ids=lambda unit: unit.stem)
def test_its_exposure_is_at_most_three(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


def test_restarts_agree_with_the_exit_codes() -> None:
    assert service()["Restart"] == "on-failure"
    assert service()["RestartPreventExitStatus"] == str(EXIT_MISCONFIGURED)
    # Its exit code would count instead: a wrong setting would be tried again and again.
    assert "ExecStartPre" not in service()


def test_only_a_socket_can_start_it_too_often() -> None:
    """A wrong setting ends the server at once, and a connection that waits starts it again."""
    unit = service("Unit")
    seconds = float(unit["StartLimitIntervalSec"].removesuffix("s"))
    assert seconds / float(service()["RestartSec"].removesuffix("s")) < int(unit["StartLimitBurst"])


def test_it_listens_where_nginx_asks() -> None:
    servers = (FOLDER.parent / "nginx" / "servers.conf").read_text("utf-8")
    [address] = re.findall("^ListenStream=(.*)$", SOCKET.read_text("utf-8"), re.MULTILINE)
    assert re.findall("^server ([^ ]+)", servers, re.MULTILINE) == [address]


def test_a_stop_gets_the_time_that_the_server_may_take() -> None:
    default = Settings.model_fields["graceful_timeout"].default
    assert float(service()["TimeoutStopSec"].removesuffix("s")) > 2 * default + 3.5


def test_a_reload_finds_the_server_and_the_socket_is_where_it_listens() -> None:
    folder = f"/var/lib/{service()['StateDirectory']}"
    settings = Settings(environment="testing", instance_path=Path(folder))
    command = service()["ExecReload"].replace("${INSTANCE_PATH}", folder)
    assert command.endswith(f"/quartapp reload --pid-file {settings.pid_file}")
    assert f"ListenStream={settings.host}:{settings.port}\n" in SOCKET.read_text("utf-8")


def test_the_settings_are_valid() -> None:
    lines = (FOLDER / "microblog.env").read_text("utf-8").splitlines()
    assert {re.match(r"(?:# )?([A-Z_]+)=", line)[1].lower() for line in lines[1:]} <= set(  # type: ignore[index]  # each has one
        Settings.model_fields
    )
    given = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    values: dict[str, Any] = {name.lower(): value for name, value in given.items()}
    settings = Settings(**values | {"secret_key": "0123456789abcdefghijklmnopqrstuvwxyz"})
    assert str(settings.instance_path) == f"/var/lib/{service()['StateDirectory']}"
    assert str(settings.log_dir) == f"/var/log/{service()['LogsDirectory']}"
    assert not settings.host_fault
    reload = service()["ExecReload"].replace("${INSTANCE_PATH}", str(settings.instance_path))
    assert reload.endswith(f" reload --pid-file {settings.pid_file}")


def test_a_command_runs_as_the_service_does(tmp_path: Path) -> None:
    program = service()["WorkingDirectory"]
    script = tmp_path / "microblog-run"
    text = (FOLDER / "microblog-run").read_text("utf-8")
    script.write_text(text.replace(f"cd {program}", f"cd {tmp_path}"))
    stub = tmp_path / "systemd-run"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$PWD" "$@"\n')
    for each in (script, stub):
        each.chmod(0o755)
    said = subprocess.run(
        [script, "command", "an argument"],
        cwd="/",
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    folder, *words = said.stdout.splitlines()
    # systemd-run looks for `.venv/bin/quart` where it is started, and not in --working-directory.
    assert folder == str(tmp_path)
    assert words[words.index("--") :] == ["--", "command", "an argument"]
    for name in ("EnvironmentFile", "StateDirectory", "LogsDirectory", "StateDirectoryMode"):
        assert f"--property={name}={service()[name]}" in words
    assert {f"--uid={service()['User']}", "--pipe"} <= set(words)
    assert f"--working-directory={program}" in words
