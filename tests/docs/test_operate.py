"""docs/operate.md, .env.example and the settings say the same."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from quartapp.microblog.config import Settings
from quartapp.settings import PartSettings
from tests.test_settings import part_settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operate.md").read_text("utf-8")
EXAMPLE = dict(
    re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
)
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", TEXT, re.MULTILINE))


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    assert sorted(ROWS) == sorted(name.upper() for name in Settings.model_fields)


def test_the_defaults_are_the_settings_defaults() -> None:
    compared = 0
    for name, field in Settings.model_fields.items():
        written = re.fullmatch(r"`([^`]+)`", ROWS[name.upper()])
        if written:
            default = str(field.default)
            assert written[1] == (default.lower() if type(field.default) is bool else default)
            compared += 1
    assert compared > len(ROWS) / 3, "most of the others have no default, or one in words"


@pytest.mark.parametrize("kind", sorted(part_settings(), key=str))
def test_every_setting_of_a_part_is_named_with_its_default(kind: type[PartSettings]) -> None:
    for name, field in kind.model_fields.items():
        key, default = name.upper(), field.default
        if default in (None, "", ()):
            assert not re.fullmatch(r"`[^`]*`", ROWS[key]), f"{key} has no default but a rule"
            assert EXAMPLE[key] == ""
        else:
            text = str(default).lower() if default is True or default is False else str(default)
            assert (ROWS[key], EXAMPLE[key]) == (f"`{text}`", text)


NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


@pytest.mark.slow
@pytest.mark.skipif(
    not (Path(NGINX).exists() and shutil.which("openssl")), reason="no nginx, or no openssl"
)
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    [block] = re.findall(r"^```nginx\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    make_certificate = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        "-subj /CN=localhost -keyout microblog.key -out microblog.pem"
    )
    subprocess.run(make_certificate.split(), cwd=tmp_path, check=True, capture_output=True)
    block = block.replace("/etc/ssl", str(tmp_path))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {block} }}", "utf-8"
    )
    command = [NGINX, "-t", "-q", "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
