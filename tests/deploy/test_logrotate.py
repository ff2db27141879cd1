"""deploy/logrotate, with logrotate itself."""

import getpass
import grp
import logging
import os
import signal
import subprocess
from pathlib import Path

import pytest

from quartapp.logfile.handler import ThreadedHandler, reopen_at_signal, to_file
from quartapp.logfile.rotation import RotatingFile
from tests.conftest import command_path

LOGROTATE = command_path("logrotate")
FILE = Path(__file__).parents[2] / "deploy" / "logrotate" / "microblog"


@pytest.mark.slow
@pytest.mark.needs("logrotate")
def test_it_rotates_without_losing_a_line(tmp_path: Path) -> None:
    us = f"{getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}"
    text = FILE.read_text("utf-8").replace("/var/log/microblog", str(tmp_path))
    text = text.replace("microblog microblog", us)
    command = "systemctl kill --kill-whom=main --signal=SIGUSR1 microblog.service"
    assert command in text
    (tmp_path / "conf").write_text(text.replace(command, f"kill -USR1 {os.getpid()}"), "utf-8")
    (tmp_path / "conf").chmod(0o644)
    tmp_path.chmod(0o755)  # logrotate refuses a folder that others may write to
    file = RotatingFile(tmp_path / "microblog.log", max_bytes=0, backups=10)
    handler = ThreadedHandler(to_file(file, logging.Formatter("%(message)s")))
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    try:
        reopen_at_signal()
        for number in range(3):
            handler.write(f"line {number}")
            handler.flush()
            rotate = [LOGROTATE, "-f", "-s", f"{tmp_path}/state", f"{tmp_path}/conf"]
            done = subprocess.run(rotate, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
    finally:
        handler.close()
        signal.signal(signal.SIGUSR1, before)
    names = ["microblog.log", "microblog.log.1", "microblog.log.2.gz", "microblog.log.3.gz"]
    assert sorted(path.name for path in tmp_path.glob("microblog.*")) == names
    assert (tmp_path / "microblog.log").read_text() == ""
    assert (tmp_path / "microblog.log.1").read_text() == "line 2\n"
    assert (tmp_path / "microblog.log").stat().st_mode & 0o777 == 0o600
