"""The files of deploy/docker. Most tests read them; the last one builds them, where Docker runs."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from quartapp.microblog.config import Settings, load_settings
from tests.deploy.nginx import FILES as NGINX_FILES
from tests.system.image_steps import DOCKERFILE, in_context, instructions

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GIVEN = dict(re.findall(r"^(\w+)=(.*)$", (FOLDER / "settings.env").read_text("utf-8"), re.M))
ONCE = {"first-start", "migrate"}
STEPS = list(instructions(DOCKERFILE.read_text("utf-8")))


def steps(name: str) -> list[str]:
    return [rest for found, rest in STEPS if found == name]


def test_the_image_runs_as_a_user_and_stops_by_a_signal() -> None:
    final = STEPS[max(index for index, step in enumerate(STEPS) if step[0] == "FROM") :]
    assert len({rest.split()[0] for rest in steps("FROM")}) == 1
    assert ":" in steps("FROM")[0]
    assert ("USER", "10001:10001") in final
    assert [name for name, _ in final].index("USER") < [name for name, _ in final].index("CMD")
    assert json.loads(steps("CMD")[0]) == ["python", "/app/run.py"], "no shell that keeps signals"
    assert steps("STOPSIGNAL") == ["SIGTERM"]
    assert "--require-hashes -r requirements.lock" in "".join(steps("RUN"))


def test_no_secret_gets_into_the_image() -> None:
    rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()[1:]
    for kept_out in (".env", "instance/secret_key", "logs/a.log", ".git/config", "deploy/a.env"):
        assert not in_context(kept_out, rules)
    assert not in_context("quartapp/__pycache__/app.pyc", rules)
    sources = [
        source
        for rest in steps("COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    for source in sources:
        path = ROOT / source
        assert path.exists()
        assert in_context(source if path.is_file() else f"{source}/__init__.py", rules)
    assert not re.search("SECRET|PASSWORD|TOKEN", " ".join(steps("ENV") + steps("ARG")))


def test_the_settings_in_the_files_exist() -> None:
    known = {name.upper() for name in Settings.model_fields}
    foreign = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    image = {name for rest in steps("ENV")[-1:] for name in re.findall(r"(\w+)=", rest)}
    assert image - foreign <= known
    assert set(GIVEN) <= known


def test_the_settings_of_an_instance_are_valid() -> None:
    given: dict[str, Any] = {name.lower(): value for name, value in GIVEN.items()}
    settings = load_settings(Settings, **given, secret_key="0123456789abcdefghijklmnopqrstuvwxyz")
    assert not settings.host_fault
    assert settings.mails_people
    assert not any("environment" in SERVICES[name] for name in ("app1", "app2", "migrate"))


def test_what_a_service_names_is_there() -> None:
    named = set()
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            if condition == "service_completed_successfully":
                assert needed in ONCE
            else:
                has_check = "healthcheck" in SERVICES[needed] or needed.startswith("app")
                assert (condition, has_check) == ("service_healthy", True)
        for source in (volume.split(":")[0] for volume in service.get("volumes", [])):
            if source.startswith("."):
                assert (FOLDER / source).exists(), f"{name}: {source}"
            else:
                named.add(source)
    assert named == set(COMPOSE["volumes"])


def test_what_is_written_is_in_volumes_of_one_instance() -> None:
    owners = {
        volume.split(":")[0]: name
        for name in ("app1", "app2")
        for volume in SERVICES[name]["volumes"]
        if volume.endswith(":/var/lib/microblog")
    }
    assert owners == {"app1": "app1", "app2": "app2"}, "a journal belongs to one instance"
    for name in ("app1", "app2", "migrate", "nginx", "redis"):
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_every_service_has_bounds_and_comes_back() -> None:
    for name, service in SERVICES.items():
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
        assert not service["image"].endswith(":latest")
        assert ":" in service["image"]


def test_only_this_machine_reaches_the_ports() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith(("127.0.0.1:", "${ADDRESS:-127.0.0.1}:")) for port in ports)


def test_nginx_asks_the_addresses_that_the_instances_have() -> None:
    asked = re.findall(r"^server ([\d.]+):5000", (FOLDER / "servers.conf").read_text("utf-8"), re.M)
    given = [SERVICES[name]["networks"]["default"]["ipv4_address"] for name in ("app1", "app2")]
    assert asked == given
    mounted = {volume.split(":")[1] for volume in SERVICES["nginx"]["volumes"]}
    text = (NGINX_FILES / "microblog.conf").read_text("utf-8")
    for path in re.findall(r"/etc/nginx/microblog/[\w/.]+\w", text):
        assert any(
            path == one or one.startswith(f"{path}/") or path.startswith(f"{one}/")
            for one in mounted
        )


def test_a_stop_gets_the_time_that_the_server_may_take() -> None:
    default = Settings.model_fields["graceful_timeout"].default
    assert float(SERVICES["app1"]["stop_grace_period"].removesuffix("s")) > 2 * default + 3.5


@pytest.mark.slow
@pytest.mark.needs("openssl")
def test_the_first_start_makes_keys_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets, tls = tmp_path / "secrets", tmp_path / "tls"
    secrets.mkdir()
    tls.mkdir()
    command = ["sh", str(FOLDER / "first_start.sh"), str(secrets), str(tls)]
    python = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    texts = []
    for _ in range(2):
        subprocess.run(command, check=True, env=python, capture_output=True)
        texts.append({path.name: path.read_text() for path in (*secrets.iterdir(), *tls.iterdir())})
    assert texts[0] == texts[1], "the second start changes nothing"
    monkeypatch.chdir(secrets)
    settings = load_settings()
    assert f":{texts[0]['postgres_password']}@database/" in settings.database_url
    modes = {
        name: stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("secrets/.env", "tls/privkey.pem")
    }
    assert modes == {"secrets/.env": 0o600, "tls/privkey.pem": 0o640}


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server with one answer: its port, and what it is asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.headers['Host']}{self.path}")
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, asked
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_asks_under_a_trusted_name(status: int, code: int) -> None:
    with answering(status) as (port, asked):
        given = {"PORT": str(port), "TRUSTED_HOSTS": "example.com, www.example.com"}
        assert check_health(given) == code
    assert asked == ["example.com/ready"]


@pytest.mark.slow
def test_the_health_check_fails_without_a_server() -> None:
    assert check_health({"PORT": "1"}) == 1


def check_health(variables: dict[str, str]) -> int:
    command = [sys.executable, "-I", str(FOLDER / "healthcheck.py")]
    return subprocess.run(command, env=variables, check=False, capture_output=True).returncode


def runs_docker() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return not subprocess.run([docker, "info"], capture_output=True, check=False).returncode


@pytest.mark.slow
@pytest.mark.skipif(
    not runs_docker(), reason="no Docker runs here: make image-steps does the steps"
)
def test_the_containers_are_built_and_serve() -> None:
    ports = {"HTTP_PORT": "18080", "HTTPS_PORT": "18443", "MAIL_PAGES_PORT": "18025"}
    environment = {**os.environ, **ports, "COMPOSE_PROJECT_NAME": "microblog-test"}
    try:
        compose = ["docker", "compose", "up", "--build", "--detach", "--wait"]
        subprocess.run(compose, cwd=ROOT, env=environment, check=True)
        command = ["curl", "-fsk", "https://localhost:18443/ready"]
        said = subprocess.run(command, capture_output=True, check=True)
        assert json.loads(said.stdout)["database"] == "ok"
    finally:
        down = ["docker", "compose", "down", "--volumes"]
        subprocess.run(down, cwd=ROOT, env=environment, check=False)
