"""What runs on the machines: PostgreSQL and Redis, two applications, nginx."""

import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from tests.deploy.nginx import FILES, install
from tests.system.two_machines.network import ADDRESSES, Network

ROOT = Path(__file__).parents[3]
NGINX = Path("/usr/sbin/nginx")
REDIS = Path("/usr/bin/redis-server")
POSTGRESQL = Path("/usr/lib/postgresql/15/bin")
PROGRAMS = (NGINX, REDIS, POSTGRESQL / "initdb", Path("/usr/bin/openssl"))
SITE = "microblog.example.com"
DATABASE_URL = f"postgresql://postgres@{ADDRESSES['data']}:5432/postgres"
MAIL_PORT = 2525

# A connection whose machine has vanished holds its locks until the database notices.
_POSTGRESQL = """
listen_addresses = '*'
unix_socket_directories = ''
tcp_keepalives_idle = 5
tcp_keepalives_interval = 5
tcp_keepalives_count = 3
tcp_user_timeout = 15000
"""

SERVERS = """
server {app1}:5000 max_fails=3 fail_timeout=5s;
server {app2}:5000 max_fails=3 fail_timeout=5s;
"""


class Services:
    """Everything on the machines, in one folder. It all ends with the network."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network = network
        self._folder = folder
        self._key = secrets.token_hex()
        folder.chmod(0o755)

    def start_data(self) -> None:
        data = self._folder / "data"
        data.mkdir()
        shutil.chown(data, "postgres", "postgres")
        as_postgres = ("runuser", "-u", "postgres", "--")
        initdb = [*as_postgres, str(POSTGRESQL / "initdb"), "-D", str(data / "pg"), "-A", "trust"]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/")
        with (data / "pg" / "postgresql.conf").open("a") as file:
            file.write(_POSTGRESQL)
        with (data / "pg" / "pg_hba.conf").open("a") as file:
            file.write("host all all 10.77.0.0/24 trust\n")
        self._start("data", *as_postgres, str(POSTGRESQL / "postgres"), "-D", str(data / "pg"))
        redis = ("--bind", "0.0.0.0", "--protected-mode", "no", "--save", "")
        self._start("data", str(REDIS), *redis)

    def start_application(self, machine: str) -> None:
        folder = self._folder / machine
        environment = {
            "HOST": ADDRESSES[machine],
            "WORKERS": "2",
            "SECRET_KEY": self._key,
            "DATABASE_URL": DATABASE_URL,
            "REDIS_URL": f"redis://{ADDRESSES['data']}:6379/0",
            "INSTANCE_PATH": str(folder / "instance"),
            "LOG_DIR": str(folder / "logs"),
            "LOG_MAX_BYTES": "10000000",
            "PROXY_HOPS": "1",
            "TRUSTED_HOSTS": SITE,
            "PUBLIC_URL": f"https://{SITE}",
            "REQUEST_TIMEOUT": "15",
            "MAIL_SERVER": ADDRESSES["edge"],
            "MAIL_PORT": str(MAIL_PORT),
            "ADMINS": "ops@example.com",
            # One client is everybody here; what is left counts in Redis for both machines.
            "LIMIT_API": "1000000 per minute",
            "LIMIT_POSTS": "1000000 per minute",
            "PYTHONPATH": str(ROOT),
        }
        folder.mkdir(exist_ok=True)
        program = str(ROOT / "tests" / "microblog" / "serve.py")
        self._start(machine, sys.executable, program, cwd=folder, environment=environment)

    def start_nginx(self) -> None:
        folder = self._folder / "nginx"
        folder.mkdir()
        install(folder, SERVERS.format(**ADDRESSES))
        site = (FILES / "microblog.conf").read_text().replace("/var/log/nginx", str(folder))
        site = site.replace("/etc/nginx/microblog", str(folder))
        (folder / "microblog.conf").write_text(site)
        whole = (
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ include /etc/nginx/mime.types; include {folder}/microblog.conf; }}\n"
        )
        (folder / "nginx.conf").write_text(whole)
        self._start("edge", str(NGINX), "-c", str(folder / "nginx.conf"), "-e", "stderr")

    def served_by(self, machine: str, since: int) -> int:
        """How many requests a machine has answered since that line of nginx's log."""
        log = self._folder / "nginx" / "microblog.log"
        last = (
            f'"upstream":"[^"]*{re.escape(ADDRESSES[machine])}:5000","upstream_status":"[^"]*200"'
        )
        return sum(bool(re.search(last, line)) for line in log.read_text().splitlines()[since:])

    def repeated(self, path: str) -> int:
        """How many requests of a path nginx sent to a second machine."""
        log = self._folder / "nginx" / "microblog.log"
        twice = re.compile(rf'"path":"{path}".*"upstream":"[^",]+, ')
        return sum(bool(twice.search(line)) for line in log.read_text().splitlines())

    def log_lines(self) -> int:
        return len((self._folder / "nginx" / "microblog.log").read_text().splitlines())

    def _start(
        self,
        machine: str,
        *words: str,
        cwd: Path = Path("/"),
        environment: dict[str, str] | None = None,
    ) -> None:
        with (self._folder / f"{machine}.output").open("ab") as output:
            subprocess.Popen(
                self._network.command(machine, *words),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={"PATH": os.environ["PATH"], **(environment or {})},
            )
